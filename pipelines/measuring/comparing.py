"""Two measurements compared: what became worse beyond noise, what cannot be told, and what is not comparable.

A figure under load has changed where the medians of its windows differ by more than windows of one run may
(``figures.STABLE``) and by more than those of either run do, and where Welch's t-test of the windows' logarithms
finds more than what a whole run may be off (``SHIFT``). The test is held to ``CHANCE`` divided by the number of
figures (Bonferroni), so that two runs of the same thing show a change in at most so many of all comparisons. A
figure that is UNSTABLE in either run, or has no value in each window, is not judged, and says so.

Memory, processor time, starts and knees are one value a run: only what differs by ``SINGLE`` is called changed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import median

import numpy as np
from scipy.stats import t as student

from models.errors import NotComparable
from pipelines.facts import LoadedFacts, LoadFacts, RunReport, ScenarioFacts, ThroughputFacts
from pipelines.facts.load import Validity
from pipelines.measuring.figures import STABLE
from pipelines.measuring.single_values import SingleValue, Title, single_values

Interval = tuple[float, float]
VALIDITIES: tuple[Validity, ...] = ("VALID", "INVALID", "VOID")
"""From good to bad."""
CHANCE = 0.05
"""Of all comparisons of two runs of the same thing, so many may call any figure changed."""
SHIFT = 0.05
"""A whole run may be so much faster or slower than the next, and its own windows do not show it."""
SINGLE = 0.5
"""Relative difference of what is one value a run."""
RANKS = {50.0: "p50_ms", 90.0: "p90_ms", 99.0: "p99_ms", 99.9: "p99_9_ms"}
"""Percentiles that are compared, by their field in a window."""
FEWEST_WINDOWS = 2
NOT_COMPARED = "Not compared: the breakdown's in-process, overhead and batching."
Key = tuple[str, str, str]
"""Server's name, protocol, what was run."""


class Change(StrEnum):
    """What became of a figure."""

    SAME = "same"
    BETTER = "better"
    WORSE = "WORSE"
    UNJUDGED = "unjudged"


@dataclass(frozen=True)
class Compared:
    """One figure in both runs.

    Attributes:
        subject: endpoint and what was run.
        quantity: the figure, with its unit.
        before: its value in the first run; None where it has none.
        after: in the second run.
        before_between: how wide it is.
        after_between: how wide it is.
        change: the verdict.
        note: what else must be known.
    """

    subject: str
    quantity: str
    before: float | None
    after: float | None
    before_between: Interval | None
    after_between: Interval | None
    change: Change
    note: str = ""


def compare_reports(before: RunReport, after: RunReport) -> list[Compared]:
    """Every figure that either has, also those that cannot be judged.

    Raises:
        NotComparable: they were not measured alike.
    """
    one, other = _alike(before, after)
    first, second = _by_key(before, one), _by_key(after, other)
    found = [
        row for key in {**first, **second} for row in _rows(key, first.get(key), second.get(key))
    ]
    # Those that are not judged count too: which of them are unstable is chance.
    chance = CHANCE / max(sum(isinstance(each, Pair) for each in found), 1)
    return [
        *(each.compared(chance) if isinstance(each, Pair) else each for each in found),
        *_singles(before, after),
    ]


def _alike(before: RunReport, after: RunReport) -> tuple[LoadFacts, LoadFacts]:
    one, other = before.load, after.load
    if not one or not other:
        which = "first" if not one else "second"
        raise NotComparable(f"The {which} report has no figures under load.", "Run `make measure`.")
    questions = {
        "case": (before.case, after.case),
        "machine": (_machine(before), _machine(after)),
        "kind of run": (_kind(one), _kind(other)),
        "load engine": (one.engine, other.engine),
        "payload": (_payload(before, one), _payload(after, other)),
        "threads and workers": (_computing(before, one), _computing(after, other)),
    }
    for name, (here, there) in questions.items():
        if here != there:
            raise NotComparable(
                f"The two were not measured alike: {name} is {here} in the first and {there} in the second.",
                "Measure both on one machine, with the same settings of `make measure`.",
            )
    return one, other


def _machine(report: RunReport) -> str:
    return ", ".join(f"{k} {v}" for k, v in sorted(report.environment.hardware.items()))


def _kind(load: LoadFacts) -> str:
    name = "quick" if load.quick else "full"
    return f"{name}, {load.windows} windows, {load.seconds_per_scenario:g} s a scenario"


def _payload(report: RunReport, load: LoadFacts) -> str:
    names = _names(report)
    rows = {f"{names[e.server]} {e.protocol} {e.request_bytes} bytes" for e in load.conditions}
    return ", ".join(sorted(rows))


def _computing(report: RunReport, load: LoadFacts) -> str:
    names = _names(report)
    rows = {f"{names[e.server]} {e.workers} × {e.threads}" for e in load.conditions}
    return ", ".join(sorted(rows))


def _names(report: RunReport) -> dict[str, str]:
    return {server.label: server.name for server in report.servers}


def _by_key(report: RunReport, load: LoadFacts) -> dict[Key, LoadedFacts]:
    names = _names(report)
    found: dict[Key, LoadedFacts] = {}
    for each in load.scenarios:
        found[names[each.server], each.protocol, each.scenario] = each
    for row in load.throughput:
        clients = "client" if row.clients == 1 else "clients"
        found[names[row.server], row.protocol, f"{row.clients} {clients}"] = row
    return found


def _rows(
    key: Key, before: LoadedFacts | None, after: LoadedFacts | None
) -> Iterator[Compared | Pair]:
    subject = f"{key[0]} · {key[1]}, {key[2]}"
    if not before or not after:
        yield _lost(subject, "all figures", None, None, bool(before))
        return
    if changed := _validity(subject, before, after):
        yield changed
    if "VOID" in (before.validity, after.validity):
        return
    if isinstance(before, ThroughputFacts) and isinstance(after, ThroughputFacts):
        yield _pair(subject, "requests/s", before, after, _throughput(before), _throughput(after))
    if isinstance(before, ScenarioFacts) and isinstance(after, ScenarioFacts):
        for rank in RANKS:
            here, there = _percentile(before, rank), _percentile(after, rank)
            if here and there:
                yield _pair(subject, f"p{rank:g} ms", before, after, here, there)
            elif here or there:
                yield _lost(subject, f"p{rank:g} ms", here, there, bool(here))


def _lost(
    subject: str, quantity: str, here: Figure | None, there: Figure | None, gone: bool
) -> Compared:
    what = "figures" if quantity == "all figures" else quantity.removesuffix(" ms")
    note = f"lost: the second has no {what}" if gone else f"new: the first has no {what}"
    return Compared(
        subject,
        quantity,
        here.value if here else None,
        there.value if there else None,
        here.between if here else None,
        there.between if there else None,
        Change.UNJUDGED,
        note,
    )


def _validity(subject: str, before: LoadedFacts, after: LoadedFacts) -> Compared | None:
    """What became of LoadGen's word; None where it is the same.

    A wrong answer is never noise. INVALID is, while a window of that run was still VALID.
    """
    words = (before.validity, after.validity)
    if words[0] == words[1]:
        return None
    worse = VALIDITIES.index(words[0]) < VALIDITIES.index(words[1])
    blamed = after if worse else before
    noise = "VOID" not in words and any(each.validity == "VALID" for each in blamed.windows)
    change = Change.SAME if noise else Change.WORSE if worse else Change.BETTER
    reason = "; ".join(blamed.reasons)
    return Compared(subject, " → ".join(words), None, None, None, None, change, reason)


@dataclass(frozen=True)
class Figure:
    """A value, its windows', and how wide it is."""

    value: float
    windows: tuple[float, ...]
    between: Interval

    @property
    def spread(self) -> float:
        """The largest difference of a window from their median, as a share of it."""
        middle = median(self.windows)
        return max(abs(value - middle) for value in self.windows) / middle


@dataclass(frozen=True)
class Pair:
    """One figure under load in both runs, not judged yet.

    Attributes:
        subject: endpoint and what was run.
        quantity: the figure, with its unit.
        here: in the first run.
        there: in the second.
        higher_is_better: else lower.
        against: why it cannot be judged; empty where it can.
        note: what else must be known.
    """

    subject: str
    quantity: str
    here: Figure
    there: Figure
    higher_is_better: bool
    against: str
    note: str

    def compared(self, chance: float) -> Compared:
        """Judged.

        Args:
            chance: with which the same thing may be called changed.
        """
        here, there = self.here, self.there
        return Compared(
            self.subject,
            self.quantity,
            here.value,
            there.value,
            here.between,
            there.between,
            Change.UNJUDGED if self.against else self._change(chance),
            "; ".join(part for part in (self.against, self.note) if part),
        )

    def _change(self, chance: float) -> Change:
        here, there = self.here, self.there
        ratio = median(there.windows) / median(here.windows)
        allowed = max(STABLE, here.spread, there.spread)
        # As a factor, so that a figure that falls is held to the same as one that rises.
        if abs(math.log(ratio)) <= math.log1p(allowed):
            return Change.SAME
        if _by_chance(here.windows, there.windows) > chance:
            return Change.SAME
        return Change.BETTER if (ratio > 1) == self.higher_is_better else Change.WORSE


def _by_chance(here: Sequence[float], there: Sequence[float]) -> float:
    """How likely windows of one thing are so far apart beyond ``SHIFT``: Welch's t-test of logarithms."""
    sides = [np.log(here), np.log(there)]
    shares = [float(side.var(ddof=1)) / len(side) for side in sides]
    apart = max(abs(float(sides[0].mean() - sides[1].mean())) - math.log1p(SHIFT), 0.0)
    if not sum(shares):
        return 0.0 if apart else 1.0
    freedom = sum(shares) ** 2 / sum(
        share**2 / (len(side) - 1) for share, side in zip(shares, sides, strict=True)
    )
    return float(2 * student.sf(apart / math.sqrt(sum(shares)), freedom))


def _throughput(facts: ThroughputFacts) -> Figure:
    rates = tuple(window.requests_per_second for window in facts.windows)
    value = facts.requests_per_second
    return Figure(value, rates, (min(rates, default=value), max(rates, default=value)))


def _percentile(facts: ScenarioFacts, rank: float) -> Figure | None:
    """None where the report has none; without windows where one of them has too few samples for it."""
    found = facts.percentile(rank)
    if not found:
        return None
    values = [getattr(window, RANKS[rank]) for window in facts.windows]
    known = tuple(value for value in values if value is not None)
    if known and len(known) == len(values):
        return Figure(found.ms, known, (min(known), max(known)))
    return Figure(found.ms, (), (found.ms, found.at_most_ms))


def _pair(
    subject: str,
    quantity: str,
    before: LoadedFacts,
    after: LoadedFacts,
    here: Figure,
    there: Figure,
) -> Pair:
    name = quantity.replace("requests/s", "requests_per_second").replace(" ", "_")
    unstable = _in_which("UNSTABLE", [facts.is_unstable(name) for facts in (before, after)])
    few = any(
        len(each.windows) < FEWEST_WINDOWS or not min(each.windows) > 0 for each in (here, there)
    )
    clients = [bool(facts.client and facts.client.saturated) for facts in (before, after)]
    return Pair(
        subject,
        quantity,
        here,
        there,
        quantity == "requests/s",
        unstable or ("too few samples in a window" if few else ""),
        _in_which("SATURATED", clients),
    )


def _in_which(word: str, runs: Sequence[bool]) -> str:
    """``UNSTABLE in both``; empty for neither."""
    first, second = runs
    if not first and not second:
        return ""
    return f"{word} in {'both' if first and second else 'the first' if first else 'the second'}"


def _singles(before: RunReport, after: RunReport) -> Iterator[Compared]:
    """What is one value a run."""
    first, second = single_values(before), single_values(after)
    for title in {**first, **second}:
        yield _single(title, first.get(title), second.get(title))


def _single(title: Title, here: SingleValue | None, there: SingleValue | None) -> Compared:
    if here and there:
        change = _single_change(here.value, there.value, here.higher_is_better)
        note = f"one value a run: judged beyond {100 * SINGLE:.0f} %"
    else:
        change = Change.UNJUDGED
        note = f"{'lost: the second' if here else 'new: the first'} has none measured alike"
    both = [each for each in (here, there) if each]
    notes = dict.fromkeys([note, *(each.note for each in both if each.note)])
    before, after = (each.value if each else None for each in (here, there))
    return Compared(*title, before, after, None, None, change, "; ".join(notes))


def _single_change(here: float, there: float, higher_is_better: bool) -> Change:
    worse, better = (here, there) if higher_is_better else (there, here)
    if worse > better * (1 + SINGLE):
        return Change.WORSE
    return Change.BETTER if better > worse * (1 + SINGLE) else Change.SAME


def regressions(rows: Sequence[Compared]) -> list[Compared]:
    """Those that became worse."""
    return [row for row in rows if row.change is Change.WORSE]
