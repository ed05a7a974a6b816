"""What the load runs found, as tables: scenarios by endpoint, what was measured alike, what can be claimed."""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.facts import (
    ClaimFacts,
    ConditionsFacts,
    LoadedFacts,
    LoadFacts,
    RunReport,
    ScenarioFacts,
)
from pipelines.facts.load import Scenario
from pipelines.report import figures
from pipelines.report.contests import Evidence
from pipelines.report.marks import Mark, is_drawn, length_mark, marks_of
from pipelines.report.sides import framework_of

RANKS = (50.0, 90.0, 99.0, 99.9)
CONDITION_HEADS = (
    "Rows a request",
    "Bytes of a request",
    "Of an answer",
    "Workers",
    "Threads of one",
    "Client threads",
)
HEADS = ("Requests/s", *(f"p{rank:g} ms" for rank in RANKS), "Requests", "Windows apart")
SCENARIOS: dict[Scenario, str] = {
    "SingleStream": "One client sends the next request when the answer is there.",
    "MultiStream": "One client sends several requests at once, and waits for all answers.",
    "Server": "Requests come at random times (Poisson) at a fixed mean rate, whether or not the server keeps up; "
    "latency counts from when a request was due.",
    "Offline": "All requests are there at once; only the rate counts.",
}
RULINGS = {"different": "differ", "alike": "alike", "undecided": "undecided", "refused": "no claim"}


@dataclass(frozen=True)
class LoadLine:
    """One endpoint in one scenario."""

    framework: str | None
    endpoint: str
    detail: str
    cells: tuple[str, ...]
    marks: tuple[Mark, ...]


@dataclass(frozen=True)
class LoadGroup:
    """One scenario."""

    title: str
    meaning: str
    lines: tuple[LoadLine, ...]


@dataclass(frozen=True)
class ClaimLine:
    """One claim, and the class that colours it."""

    ruling: str
    word: str
    sentence: str
    figures: str


def endpoint(facts: LoadedFacts) -> str:
    return f"{facts.server} · {facts.protocol}"


def load_groups(report: RunReport) -> list[LoadGroup]:
    """By scenario; none where nothing was measured."""
    load = report.load
    if load is None:
        return []
    return [
        LoadGroup(scenario, meaning, tuple(_line(report, each) for each in mine))
        for scenario, meaning in SCENARIOS.items()
        if (mine := [each for each in load.scenarios if each.scenario == scenario])
    ]


def _line(report: RunReport, facts: ScenarioFacts) -> LoadLine:
    offered = facts.offered
    bound = "" if facts.bound_ms is None else f", 99 % within {facts.bound_ms:g} ms asked"
    return LoadLine(
        framework_of(report, facts.server),
        endpoint(facts),
        "" if offered is None else f"{figures.rate(offered)} offered a second{bound}",
        _cells(facts),
        tuple(marks_of(facts, endpoint(facts))),
    )


def _cells(facts: ScenarioFacts) -> tuple[str, ...]:
    """A percentile without enough samples is not there, and says so; Offline has none at all."""
    apart = figures.UNKNOWN if facts.spread is None else figures.brief_percent(facts.spread)
    counts = (f"{facts.requests:,}", apart)
    if not is_drawn(facts):
        return (*(figures.VOIDED,) * (1 + len(RANKS)), *counts)
    return (
        figures.rate(facts.requests_per_second),
        *(_percentile(facts, r) for r in RANKS),
        *counts,
    )


def _percentile(facts: ScenarioFacts, rank: float) -> str:
    if facts.scenario == "Offline":
        return figures.UNKNOWN
    found = facts.percentile(rank)
    return figures.bare_milliseconds(found.ms) if found else figures.TOO_FEW


def load_cautions(report: RunReport) -> list[Evidence]:
    """What stands against figures of the load, each once: whose it is, in which scenarios, and why."""
    load = report.load
    if load is None:
        return []
    found: dict[tuple[str, str], tuple[list[str], str]] = {}
    for each in load.scenarios:
        for mark in marks_of(each, endpoint(each)):
            scenarios, _ = found.setdefault((mark.about, mark.word), ([], mark.why))
            scenarios.append(each.scenario)
    said = [Evidence(f"{mark.word}", mark.why, caution=True) for mark in length_mark(load)]
    said += [
        Evidence(f"{word}, {about} ({', '.join(scenarios)})", why, caution=True)
        for (about, word), (scenarios, why) in found.items()
    ]
    return said + [Evidence("Not alike", each, caution=True) for each in load.differences]


def claim_lines(claims: list[ClaimFacts]) -> list[ClaimLine]:
    """Every claim: what differs first, what cannot be claimed last."""
    order = list(RULINGS)
    return [
        ClaimLine(claim.ruling, RULINGS[claim.ruling], claim.sentence, claim.figures)
        for claim in sorted(claims, key=lambda claim: order.index(claim.ruling))
    ]


def conditions(load: LoadFacts) -> tuple[tuple[str, ...], ...]:
    """What each endpoint was measured with: the same for both sides, or it is said where not."""
    return tuple(
        (f"{each.server} · {each.protocol}", *_condition(each)) for each in load.conditions
    )


def _condition(facts: ConditionsFacts) -> tuple[str, ...]:
    """A cell for each of ``CONDITION_HEADS``."""
    numbers = (
        facts.rows,
        facts.request_bytes,
        facts.answer_bytes,
        facts.workers,
        facts.threads,
        facts.client_threads,
    )
    return tuple(figures.UNKNOWN if each is None else f"{each:,}" for each in numbers)


def load_lead(load: LoadFacts) -> str:
    """How it was measured, in one paragraph."""
    return (
        f"{load.engine}, {figures.seconds(load.seconds_per_scenario)} for each scenario of an endpoint in "
        f"{figures.count(load.windows, 'window')}; the servers take turns, window by window. Every answer was "
        "compared with the expected one: a single wrong one voids its figure, and a void figure is not shown. "
        "A percentile is shown only from as many samples as early stopping asks for (459 for a p99)."
    )
