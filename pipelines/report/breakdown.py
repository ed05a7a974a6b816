"""Where the cost comes from: model, server and protocol apart, cold start, memory, processor time."""

from __future__ import annotations

from collections.abc import Iterable

from pipelines.breakdown.facts import ColdStartRow, CpuRow, MemoryRow, OverheadRow
from pipelines.facts import RunReport
from pipelines.report import figures
from pipelines.report.curves import Axis, Line, Point, curves, keys_of
from pipelines.report.drawing import Bar, Figure, bar_rows, colour_of, render
from pipelines.report.marks import Mark, quick_mark
from pipelines.report.sides import framework_of
from pipelines.report.stacks import Stack, stacked_rows

MEGA = 1e6
BEYOND = 0.3
"""Share of the whole by which its parts may be more: the model may be faster inside the server."""


def breakdown_charts(report: RunReport) -> list[Figure]:
    """Those of the parts that were measured."""
    parts = (*_overhead(report), *_cold_start(report), *_memory(report), *_cpu(report))
    return list(parts)


def _colour(report: RunReport, server: str) -> str:
    return colour_of(framework_of(report, server))


def _void(wrong: int, requests: int, about: str) -> list[Mark]:
    said = f"{wrong:,} of {requests:,} answers wrong"
    return [Mark("VOID", about, said)] if wrong else []


def _overhead(report: RunReport) -> Iterable[Figure]:
    found = report.breakdown.overhead
    if found is None or not found.rows:
        return
    stacks = [_overhead_stack(report, row) for row in found.rows]
    marks = [mark for row in found.rows for mark in _overhead_marks(row)]
    heads = ("Endpoint", "Whole ms", "Model", "Server", "Protocol", "Rest", "Request")
    table = tuple(_overhead_cells(row) for row in found.rows)
    title = "Where a request's time goes"
    yield Figure(
        title,
        "medians, one row a request, one client; from the left: model, server, protocol, what is in none of them",
        stacked_rows(stacks, title, ". ".join(f"{s.label}: {s.text}" for s in stacks)),
        heads,
        table,
        (*quick_mark(found.quick), *marks),
    )


def _endpoint(row: OverheadRow | CpuRow) -> str:
    return f"{row.server} · {row.protocol}"


def _adds_up(row: OverheadRow) -> bool:
    """Parts that together are clearly more than the whole were disturbed: they divide nothing."""
    return row.rest_ms >= -BEYOND * row.served_ms


def _overhead_marks(row: OverheadRow) -> list[Mark]:
    if row.wrong or _adds_up(row):
        return _void(row.wrong, row.requests, _endpoint(row))
    whole = figures.milliseconds(row.served_ms)
    parts = figures.milliseconds(row.served_ms - row.rest_ms)
    why = f"its parts add up to {parts}, and the whole took {whole}: not divided"
    return [Mark("UNSTABLE", _endpoint(row), why)]


def _overhead_stack(report: RunReport, row: OverheadRow) -> Stack:
    parts = (
        ("model", row.model_ms), ("server", row.server_ms),
        ("protocol", row.protocol_ms), ("rest", row.rest_ms),
    )  # fmt: skip
    return Stack(
        _endpoint(row),
        figures.VOIDED if row.wrong else figures.milliseconds(row.served_ms),
        _colour(report, row.server),
        ()
        if row.wrong or not _adds_up(row)
        else tuple((n, value, figures.milliseconds(value)) for n, value in parts),
    )


def _overhead_cells(row: OverheadRow) -> tuple[str, ...]:
    numbers = (row.served_ms, row.model_ms, row.server_ms, row.protocol_ms, row.rest_ms)
    written = (figures.VOIDED,) * 5 if row.wrong else tuple(map(figures.bare_milliseconds, numbers))
    return (_endpoint(row), *written, figures.data_size(row.request_bytes))


def _cold_start(report: RunReport) -> Iterable[Figure]:
    found = report.breakdown.cold_start
    if found is None or not found.rows:
        return
    stacks = [_start_stack(report, row) for row in found.rows]
    title = "Cold start"
    alone = "each server alone" if found.alone else "both servers at once"
    yield Figure(
        title,
        f"medians, {alone}; from the left: process up, model loaded, first correct answer",
        stacked_rows(stacks, title, ". ".join(f"{s.label}: {s.text}" for s in stacks)),
        ("Server", "Runs as", "Process", "Model", "First answer", "Whole", "Starts"),
        tuple(
            (
                row.server,
                row.where,
                figures.seconds(row.process_seconds),
                figures.seconds(row.load_seconds),
                figures.seconds(row.first_answer_seconds),
                figures.seconds(row.total_seconds),
                str(row.repeats),
            )
            for row in found.rows
        ),
        tuple(quick_mark(found.quick)),
    )


def _start_stack(report: RunReport, row: ColdStartRow) -> Stack:
    parts = (
        ("process", row.process_seconds),
        ("model", row.load_seconds),
        ("first answer", row.first_answer_seconds),
    )
    return Stack(
        row.server,
        figures.seconds(row.total_seconds),
        _colour(report, row.server),
        tuple((name, v, figures.seconds(v)) for name, v in parts if v is not None),
    )


def _memory(report: RunReport) -> Iterable[Figure]:
    found = report.breakdown.memory
    if found is None or not found.rows:
        return
    good = [row for row in found.rows if not row.wrong]
    lines = [
        Line(row.server, _colour(report, row.server), tuple(_samples(row)), dots=False)
        for row in good
    ]
    marks = [m for row in found.rows for m in _void(row.wrong, row.requests, row.server)]
    heads = ("Server", "Idle", "Peak", "After", "Requests", "Growth per 1,000")
    table = tuple(_memory_cells(row) for row in found.rows)
    title = "Memory under load"
    most = max((row.peak_bytes for row in good), default=1) / MEGA
    upward = Axis("MB", low=0, high=most * 1.1)
    across = Axis("requests answered", expression="format(datum.value, '~s')", low=0)
    if any(line.points for line in lines):
        said = ". ".join(f"{row[0]}: idle {row[1]}, peak {row[2]}, after {row[3]}" for row in table)
        kinds = "/".join(sorted({row.kind for row in good}))
        yield Figure(
            title,
            f"{kinds}, all processes of a server; {_growth_words(good)}",
            render(curves(lines, across, upward), 230, title, said),
            heads,
            table,
            (*quick_mark(found.quick), *marks),
            keys_of(lines),
        )


def _samples(row: MemoryRow) -> Iterable[Point]:
    for each in row.samples:
        tip = f"{row.server}, after {each.requests:,} requests: {figures.data_size(each.bytes)}"
        yield Point(each.requests, each.bytes / MEGA, tip)


def _memory_cells(row: MemoryRow) -> tuple[str, ...]:
    sizes = (row.idle_bytes, row.peak_bytes, row.after_bytes)
    written = (figures.VOIDED,) * 3 if row.wrong else tuple(map(figures.data_size, sizes))
    grows = f"{figures.data_size(row.growth_bytes_per_1000)}{', growing' if row.growing else ''}"
    return (row.server, *written, f"{row.requests:,}", figures.VOIDED if row.wrong else grows)


def _growth_words(rows: Iterable[MemoryRow]) -> str:
    growing = [row.server for row in rows if row.growing]
    return f"{' and '.join(growing)} may leak" if growing else "no sign of a leak"


def _cpu(report: RunReport) -> Iterable[Figure]:
    found = report.breakdown.memory
    if found is None or not found.cpu:
        return
    bars = [
        Bar(
            _endpoint(row),
            row.cpu_seconds_per_1000,
            f"{row.cpu_seconds_per_1000:.2f} s",
            _colour(report, row.server),
        )
        for row in found.cpu
    ]
    title = "Processor time"
    said = ". ".join(f"{bar.label}: {bar.text}" for bar in bars)
    yield Figure(
        title,
        "processor seconds for 1,000 answers, all processes of the server, user and system",
        bar_rows(bars, title, said),
        ("Endpoint", "Seconds"),
        tuple((bar.label, bar.text) for bar in bars),
        tuple(quick_mark(found.quick)),
    )
