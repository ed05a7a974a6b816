"""What a reader must know before quoting a figure, as short words that stand beside it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from pipelines.facts import LoadedFacts, LoadFacts
from pipelines.report import figures

QUANTITIES = {"requests_per_second": "throughput"}
"""In words; the others are percentiles: ``p99_ms``."""
Word = Literal["VOID", "INVALID", "UNSTABLE", "SATURATED", "QUICK", "SHORT"]


@dataclass(frozen=True)
class Mark:
    """One word, whom it is about (nobody: the whole drawing), and why."""

    word: Word
    about: str
    why: str


def is_drawn(facts: LoadedFacts) -> bool:
    """A void figure is never shown, however it came about."""
    return facts.validity != "VOID" and not facts.wrong


def marks_of(facts: LoadedFacts, about: str) -> list[Mark]:
    """All that stands against one figure; empty where nothing does."""
    reasons = "; ".join(facts.reasons)
    found: list[Mark] = []
    if not is_drawn(facts):
        first = f"; the first: {facts.first_problem}" if facts.first_problem else ""
        wrong = f"{facts.wrong:,} of {facts.requests:,} answers wrong"
        found.append(Mark("VOID", about, f"{reasons or wrong}{first}"))
    elif facts.validity == "INVALID":
        found.append(Mark("INVALID", about, reasons or "LoadGen says so"))
    if facts.unstable:
        found.append(
            Mark("UNSTABLE", about, f"its windows differ{_apart(facts)}, and 10 % are allowed")
        )
    if facts.client and facts.client.saturated:
        found.append(Mark("SATURATED", about, f"the client was the limit: {facts.client.why}"))
    return found


def _apart(facts: LoadedFacts) -> str:
    """`` by 31 % in p99``; without a figure's name where none is told."""
    if facts.unstable_in:
        each = (
            f"{figures.brief_percent(facts.spreads[name])} in {QUANTITIES.get(name, name[:-3])}"
            for name in facts.unstable_in
        )
        return f" by {', '.join(each)}"
    return "" if facts.spread is None else f" by {figures.brief_percent(facts.spread)}"


def quick_mark(quick: bool) -> list[Mark]:
    """For figures of short windows, or of few repetitions."""
    return [Mark("QUICK", "", "a quick run: good for a look, not for quoting")] if quick else []


def length_mark(load: LoadFacts) -> list[Mark]:
    """For figures under load that were measured for less than MLPerf's rule asks."""
    if load.quick or not load.short:
        return quick_mark(load.quick)
    seconds = figures.seconds(load.seconds_per_scenario)
    return [Mark("SHORT", "", f"{seconds} a scenario, not by MLPerf's rule, which is 600 s")]


def marks_of_all(rows: Iterable[tuple[LoadedFacts, str]], load: LoadFacts) -> tuple[Mark, ...]:
    """Of a drawing of many figures: each word once for everybody it is about, with its first reason."""
    found: dict[tuple[Word, str], Mark] = {}
    for facts, about in rows:
        for mark in marks_of(facts, about):
            found.setdefault((mark.word, about), mark)
    return (*length_mark(load), *found.values())


def in_words(marks: Sequence[Mark]) -> str:
    """``UNSTABLE, SATURATED``."""
    return ", ".join(dict.fromkeys(mark.word for mark in marks))
