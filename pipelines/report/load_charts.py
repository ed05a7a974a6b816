"""The drawings of load: how latency is distributed, what concurrency brings, and where latency runs away."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from pipelines.facts import (
    CurvePoint,
    KneeFacts,
    LoadedFacts,
    LoadFacts,
    Protocol,
    RunReport,
    ScenarioFacts,
    ThroughputFacts,
)
from pipelines.report import figures
from pipelines.report.curves import (
    DASHES,
    PERCENTILE_AXIS,
    Axis,
    Line,
    Point,
    Rule,
    curves,
    keys_of,
    percentile_position,
)
from pipelines.report.drawing import Figure, colour_of, render
from pipelines.report.load import endpoint
from pipelines.report.marks import is_drawn, marks_of, marks_of_all
from pipelines.report.sides import PROTOCOLS, framework_of

HEIGHT = 230
LATENCY = "latency, ms (log scale)"
PERCENTILES = (50.0, 90.0, 99.0, 99.9, 99.99)
FAIL = "var(--fail)"
T = TypeVar("T", bound=LoadedFacts)


def load_charts(report: RunReport) -> list[Figure]:
    """Distributions by scenario, then throughput and offered load by protocol."""
    load = report.load
    if load is None:
        return []
    by_scenario: dict[str, list[ScenarioFacts]] = {}
    for each in load.scenarios:
        if each.curve:
            by_scenario.setdefault(each.scenario, []).append(each)
    charts = [
        figure
        for scenario, rows in by_scenario.items()
        for figure in (
            _distribution(report, load, scenario, rows),
            _percentiles(report, load, scenario, rows),
        )
    ]
    charts += [_concurrency(report, load, protocol) for protocol in PROTOCOLS]
    charts += [_offered(report, load, protocol) for protocol in PROTOCOLS]
    return [figure for figure in charts if figure]


def _distribution(
    report: RunReport, load: LoadFacts, scenario: str, rows: Sequence[ScenarioFacts]
) -> Figure | None:
    """The cumulative distribution: how many requests took no longer."""

    def point(each: CurvePoint, facts: ScenarioFacts) -> Point:
        said = f"{each.rank:g} % of requests within {figures.milliseconds(each.ms)}"
        return Point(each.ms, each.rank / 100, f"{endpoint(facts)}: {said}")

    upward = Axis("share of requests", expression="format(datum.value, '~%')", low=0, high=1,
                  ticks=(0, 0.25, 0.5, 0.75, 1))  # fmt: skip
    return _drawn(
        report, load, rows, f"{scenario}: latency distribution",
        "share of requests that took no longer; further left is faster",
        lambda facts: [point(each, facts) for each in _supported(facts)],
        Axis(LATENCY, log=True), upward,
    )  # fmt: skip


def _percentiles(
    report: RunReport, load: LoadFacts, scenario: str, rows: Sequence[ScenarioFacts]
) -> Figure | None:
    """Latency by percentile, every further nine with as much room: the tail that an average hides."""

    def point(each: CurvePoint, facts: ScenarioFacts) -> Point:
        tip = f"{endpoint(facts)}: p{each.rank:g} {figures.milliseconds(each.ms)}"
        return Point(percentile_position(each.rank), each.ms, tip)

    highest = max((each.rank for facts in rows for each in _supported(facts)), default=99.0)
    ticks = tuple(percentile_position(rank) for rank in PERCENTILES if rank <= highest + 0.01)
    across = Axis("percentile", ticks=ticks, expression=PERCENTILE_AXIS, low=0)
    return _drawn(
        report, load, rows, f"{scenario}: percentiles",
        "latency that so many per cent of requests keep; a steep end is a long tail",
        lambda facts: [point(each, facts) for each in _supported(facts) if each.rank < 100],
        across, Axis(LATENCY, log=True),
    )  # fmt: skip


def _supported(facts: ScenarioFacts) -> list[CurvePoint]:
    """The curve up to the highest percentile that had enough samples."""
    highest = max((each.rank for each in facts.percentiles), default=0.0)
    return [each for each in facts.curve if each.rank <= highest and each.ms > 0]


def _drawn(
    report: RunReport,
    load: LoadFacts,
    rows: Sequence[ScenarioFacts],
    title: str,
    note: str,
    points_of: Callable[[ScenarioFacts], list[Point]],
    across: Axis,
    upward: Axis,
) -> Figure | None:
    lines = [
        _line_of(report, facts, points_of(facts), dots=False) for facts in rows if is_drawn(facts)
    ]
    marks = marks_of_all(((facts, endpoint(facts)) for facts in rows), load)
    heads = ("Endpoint", *(f"p{rank:g} ms" for rank in PERCENTILES[:4]))
    table = tuple(_percentile_row(facts) for facts in rows if is_drawn(facts))
    if not any(line.points for line in lines):
        return None
    svg = render(curves(lines, across, upward), HEIGHT, title, _said(table, heads))
    return Figure(title, note, svg, heads, table, marks, keys_of(lines))


def _percentile_row(facts: ScenarioFacts) -> tuple[str, ...]:
    found = (facts.percentile(rank) for rank in PERCENTILES[:4])
    return (
        endpoint(facts),
        *(figures.bare_milliseconds(each.ms if each else None) for each in found),
    )


def _said(table: Iterable[tuple[str, ...]], heads: Sequence[str]) -> str:
    """The table in words; cells without anything in them are left out."""
    rows = [
        (row[0], [f"{head} {cell}" for head, cell in zip(heads[1:], row[1:], strict=True) if cell])
        for row in table
    ]
    return ". ".join(f"{name}: {', '.join(cells)}" for name, cells in rows)


def _line_of(
    report: RunReport, facts: LoadedFacts, points: Sequence[Point], dots: bool = True
) -> Line:
    return Line(
        endpoint(facts),
        colour_of(framework_of(report, facts.server)),
        tuple(points),
        tuple(DASHES[facts.protocol]),
        dots,
    )


def _concurrency(report: RunReport, load: LoadFacts, protocol: Protocol) -> Figure | None:
    """Throughput by requests under way; a whisker spans the windows."""
    rows = [facts for facts in load.throughput if facts.protocol == protocol]
    good = [facts for facts in rows if is_drawn(facts)]
    if not good:
        return None
    lines = [
        _line_of(report, mine[0], [_rate_point(facts) for facts in mine])
        for mine in _by_server(good)
    ]
    counts = tuple(float(count) for count in sorted({facts.clients for facts in good}))
    title = f"Throughput against concurrency, {protocol}"
    across = Axis("requests under way (log scale)", log=True, ticks=counts)
    upward = Axis("answers a second", expression="format(datum.value, '~s')", low=0)
    heads = ("Endpoint", "Under way", "Requests/s", "Marks")
    table = tuple(
        (endpoint(f), str(f.clients), figures.rate(f.requests_per_second) if is_drawn(f) else figures.VOIDED,
         ", ".join(mark.word for mark in marks_of(f, "")))
        for f in rows
    )  # fmt: skip
    svg = render(curves(lines, across, upward), HEIGHT, title, _said(table, heads))
    note = "correct answers; whisker: slowest to fastest window, hollow: see the marks"
    marks = marks_of_all(((facts, endpoint(facts)) for facts in rows), load)
    return Figure(title, note, svg, heads, table, marks, keys_of(lines))


def _by_server(rows: Sequence[T]) -> list[list[T]]:
    servers = dict.fromkeys(facts.server for facts in rows)
    return [[facts for facts in rows if facts.server == server] for server in servers]


def _rate_point(facts: ThroughputFacts) -> Point:
    rates = [window.requests_per_second for window in facts.windows]
    under_way = figures.count(facts.clients, "request")
    tip = f"{endpoint(facts)}, {under_way} under way: {figures.rate(facts.requests_per_second)} a second"
    return Point(
        facts.clients,
        facts.requests_per_second,
        tip,
        hollow=bool(marks_of(facts, "")),
        low=min(rates, default=None),
        high=max(rates, default=None),
    )


def _offered(report: RunReport, load: LoadFacts, protocol: Protocol) -> Figure | None:
    """Latency by offered load, with the knee: up to there more load costs little."""
    rows = [f for f in load.sweep if f.protocol == protocol and f.offered]
    good = [facts for facts in rows if is_drawn(facts)]
    rank = _rank_of(good)
    if rank is None:
        return None
    lines = [
        _line_of(report, mine[0], [p for f in mine if (p := _load_point(f, rank))])
        for mine in _by_server(good)
    ]
    rules = [*_knees(report, load, protocol), *_bound(good)]
    title = f"Latency against offered load, {protocol}"
    across = Axis("offered requests a second", expression="format(datum.value, '~s')", low=0)
    upward = Axis(f"p{rank:g} ms (log scale)", log=True)
    heads = ("Endpoint", "Offered/s", f"p{rank:g} ms", "Marks")
    table = tuple(_load_row(facts, rank) for facts in rows)
    svg = render(curves(lines, across, upward, rules), HEIGHT + 20, title, _said(table, heads))
    note = f"random arrivals; dotted: the knee; hollow: not VALID. {_knee_words(load, protocol)}"
    marks = marks_of_all(((facts, endpoint(facts)) for facts in rows), load)
    # That a load beyond the knee is INVALID is what a sweep is for: the points say so.
    kept = tuple(mark for mark in marks if mark.word != "INVALID")
    return Figure(title, note.strip(), svg, heads, table, kept, keys_of(lines))


def _rank_of(rows: Sequence[ScenarioFacts]) -> float | None:
    """The highest percentile that most points have samples for; none where none has any."""
    count = {rank: sum(1 for each in rows if each.percentile(rank)) for rank in (99.0, 90.0, 50.0)}
    most = max(count.values())
    return next((rank for rank in count if count[rank] == most), None) if most else None


def _load_point(facts: ScenarioFacts, rank: float) -> Point | None:
    found = facts.percentile(rank)
    if found is None or not facts.offered or found.ms <= 0:
        return None
    offered = figures.rate(facts.offered)
    tip = (
        f"{endpoint(facts)}, {offered} offered a second: p{rank:g} {figures.milliseconds(found.ms)}"
    )
    return Point(facts.offered, found.ms, tip, hollow=bool(marks_of(facts, "")))


def _load_row(facts: ScenarioFacts, rank: float) -> tuple[str, ...]:
    found = facts.percentile(rank)
    shown = figures.bare_milliseconds(found.ms if found else None)
    return (
        endpoint(facts),
        figures.rate(facts.offered),
        shown if is_drawn(facts) else figures.VOIDED,
        ", ".join(mark.word for mark in marks_of(facts, "")),
    )


def _knees(report: RunReport, load: LoadFacts, protocol: Protocol) -> list[Rule]:
    """Only a knee that the sweep went beyond is one, and none of an endpoint whose sweep is void."""
    found = [knee for knee in load.knees if knee.protocol == protocol and _is_inside(load, knee)]
    return [
        Rule(
            knee.per_second or 0.0,
            f"{figures.rate(knee.per_second)}/s",
            colour_of(framework_of(report, knee.server)),
            upright=True,
            row=row,
        )
        for row, knee in enumerate(sorted(found, key=lambda each: each.per_second or 0))
    ]


def _is_inside(load: LoadFacts, knee: KneeFacts) -> bool:
    mine = [f for f in load.sweep if (f.server, f.protocol) == (knee.server, knee.protocol)]
    most = max((facts.offered or 0.0 for facts in mine), default=0.0)
    return bool(knee.per_second) and (knee.per_second or 0) < most and all(map(is_drawn, mine))


def _knee_words(load: LoadFacts, protocol: Protocol) -> str:
    """How each knee was found, or why there is none."""
    mine = [knee for knee in load.knees if knee.protocol == protocol]
    return " ".join(f"{knee.server}: {knee.why}." for knee in mine)


def _bound(rows: Sequence[ScenarioFacts]) -> list[Rule]:
    bounds = {facts.bound_ms for facts in rows if facts.bound_ms}
    return [Rule(bound, f"{bound:g} ms asked", FAIL, upright=False) for bound in sorted(bounds)]
