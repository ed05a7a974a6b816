"""Two measurements compared: what became slower beyond noise, and what cannot be compared at all.

A figure of a measurement is as wide as its windows: from the lowest to the highest of them. It has changed where
no window of one run reaches into those of the other, which chance does once in twenty times for three windows
against three (1 of the 20 ways to order six), and where the medians differ by more than windows of one run may
(``figures.STABLE``). A percentile that only all windows together have samples enough for is as wide as from its
value to early stopping's estimate.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from models.errors import NotComparable
from pipelines.facts import LoadedFacts, LoadFacts, RunReport, ScenarioFacts, ThroughputFacts
from pipelines.facts.load import Validity
from pipelines.measuring.figures import STABLE

Interval = tuple[float, float]
VALIDITIES: tuple[Validity, ...] = ("VALID", "INVALID", "VOID")
"""From good to bad."""
Key = tuple[str, str, str]
"""Server's name, protocol, what was run."""


class Change(StrEnum):
    """What became of a figure."""

    SAME = "same"
    BETTER = "better"
    WORSE = "WORSE"


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
    """Every figure under load that both have.

    Raises:
        NotComparable: they were not measured alike.
    """
    one, other = _alike(before, after)
    first, second = _by_key(before, one), _by_key(after, other)
    return [
        row
        for key, facts in first.items()
        if key in second
        for row in _rows(key, facts, second[key])
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


def _rows(key: Key, before: LoadedFacts, after: LoadedFacts) -> Iterator[Compared]:
    subject = f"{key[0]} · {key[1]}, {key[2]}"
    if changed := _validity(subject, before, after):
        yield changed
    if "VOID" in (before.validity, after.validity):
        return
    for quantity, here, there, higher_is_better in _figures(before, after):
        yield _compared(subject, quantity, here, there, higher_is_better, before, after)


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
    """A value and how wide it is."""

    value: float
    between: Interval


def _figures(before: LoadedFacts, after: LoadedFacts) -> Iterator[tuple[str, Figure, Figure, bool]]:
    if isinstance(before, ThroughputFacts) and isinstance(after, ThroughputFacts):
        yield "requests/s", _throughput(before), _throughput(after), True
        return
    if isinstance(before, ScenarioFacts) and isinstance(after, ScenarioFacts):
        for rank in (50.0, 99.0):
            here, there = _percentile(before, rank), _percentile(after, rank)
            if here and there:
                yield f"p{rank:g} ms", here, there, False


def _throughput(facts: ThroughputFacts) -> Figure:
    rates = [window.requests_per_second for window in facts.windows]
    return Figure(facts.requests_per_second, (min(rates), max(rates)))


def _percentile(facts: ScenarioFacts, rank: float) -> Figure | None:
    found = facts.percentile(rank)
    if not found:
        return None
    values = [w.p50_ms if rank == 50 else w.p99_ms for w in facts.windows]
    known = [value for value in values if value is not None]
    if len(known) == len(values):
        return Figure(found.ms, (min(known), max(known)))
    return Figure(found.ms, (found.ms, found.at_most_ms))


def _compared(
    subject: str,
    quantity: str,
    here: Figure,
    there: Figure,
    higher_is_better: bool,
    before: LoadedFacts,
    after: LoadedFacts,
) -> Compared:
    return Compared(
        subject,
        quantity,
        here.value,
        there.value,
        here.between,
        there.between,
        _change(here, there, higher_is_better),
        _note(before, after),
    )


def _note(before: LoadedFacts, after: LoadedFacts) -> str:
    """``UNSTABLE in both; SATURATED in the second``."""
    words = {
        "UNSTABLE": [facts.unstable for facts in (before, after)],
        "SATURATED": [bool(facts.client and facts.client.saturated) for facts in (before, after)],
    }
    places = {(True, True): "both", (True, False): "the first", (False, True): "the second"}
    return "; ".join(
        f"{word} in {places[first, second]}"
        for word, (first, second) in words.items()
        if first or second
    )


def _change(here: Figure, there: Figure, higher_is_better: bool) -> Change:
    apart = here.between[1] < there.between[0] or there.between[1] < here.between[0]
    if not apart or not here.value or abs(there.value / here.value - 1) <= STABLE:
        return Change.SAME
    return Change.BETTER if (there.value > here.value) == higher_is_better else Change.WORSE


def regressions(rows: Sequence[Compared]) -> list[Compared]:
    """Those that became worse."""
    return [row for row in rows if row.change is Change.WORSE]
