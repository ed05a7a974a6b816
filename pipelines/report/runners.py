"""Every way to run the model in a framework's own process, by batch size; and batching on the servers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from models.framework import FrameworkName
from pipelines.breakdown.facts import (
    Batching,
    BatchingChoice,
    BatchingPoint,
    InProcess,
    RunnerTiming,
)
from pipelines.facts import RunReport
from pipelines.report import figures
from pipelines.report.curves import Axis, Line, Point, curves, keys_of
from pipelines.report.drawing import Figure, render
from pipelines.report.marks import quick_mark
from pipelines.report.sides import FRAMEWORKS

HEIGHT = 300
COLOURS = tuple(f"var(--line-{number})" for number in range(1, 7))
DASHES: tuple[tuple[int, ...], ...] = ((1, 0), (6, 3), (2, 3))


@dataclass(frozen=True)
class RunnerLine:
    """One runner: its median time by batch size, and which of them is the shortest of its framework's."""

    framework: FrameworkName
    name: str
    cells: tuple[tuple[str, bool], ...]


@dataclass(frozen=True)
class SweepCell:
    """One setting of a server's batching."""

    rate: str
    latency: str
    share: float
    state: str
    """``best``, ``within``, ``beyond`` the bound, or ``void``."""
    tip: str


@dataclass(frozen=True)
class Sweep:
    """One server: batch sizes down, delays across."""

    server: str
    reason: str
    delays: tuple[str, ...]
    rows: tuple[tuple[str, tuple[SweepCell | None, ...]], ...]


def runner_name(timing: RunnerTiming) -> str:
    return f"{timing.runner}, {figures.count(timing.threads, 'thread')}"


def runner_lines(found: InProcess) -> list[RunnerLine]:
    """In the order of the timings; a runner whose answers are wrong has none."""
    named = _by_runner(_right(found))
    lines = []
    for (framework, name), timings in named.items():
        by_batch = {each.batch: each.p50_ms for each in timings}
        cells = tuple(
            (
                figures.bare_milliseconds(by_batch.get(size)),
                _is_best(found, framework, size, by_batch),
            )
            for size in found.batches
        )
        lines.append(RunnerLine(framework, name, cells))
    return lines


def _right(found: InProcess) -> list[RunnerTiming]:
    """Timings of runners that answer as the model in memory: no accuracy, no figure."""
    right = {(each.runner, each.framework, each.threads) for each in found.answers if each.right}
    return [each for each in found.timings if (each.runner, each.framework, each.threads) in right]


def _by_runner(
    timings: Sequence[RunnerTiming],
) -> dict[tuple[FrameworkName, str], list[RunnerTiming]]:
    named: dict[tuple[FrameworkName, str], list[RunnerTiming]] = {}
    for each in timings:
        named.setdefault((each.framework, runner_name(each)), []).append(each)
    return named


def _is_best(
    found: InProcess, framework: FrameworkName, size: int, by_batch: dict[int, float]
) -> bool:
    peers = [e.p50_ms for e in _right(found) if e.framework == framework and e.batch == size]
    return size in by_batch and by_batch[size] == min(peers)


def left_out(found: InProcess) -> list[str]:
    """Runners without figures, and why."""
    wrong = [
        f"{each.runner} ({FRAMEWORKS[each.framework]}): {each.detail or 'its answers are wrong'}"
        for each in found.answers
        if not each.right
    ]
    absent = [
        f"{each.runner} ({FRAMEWORKS[each.framework]}): {each.reason}" for each in found.absent
    ]
    return [*wrong, *absent]


def runner_charts(report: RunReport) -> list[Figure]:
    """One for each framework."""
    found = report.breakdown.in_process
    if found is None:
        return []
    charts = (_runner_chart(found, framework) for framework in ("tensorflow", "pytorch"))
    return [chart for chart in charts if chart]


def _runner_chart(found: InProcess, framework: str) -> Figure | None:
    named = {
        name: timings
        for (of, name), timings in _by_runner(_right(found)).items()
        if of == framework
    }
    lines = [
        _runner_line(name, place, timings) for place, (name, timings) in enumerate(named.items())
    ]
    if not lines:
        return None
    title = f"In-process, {FRAMEWORKS[framework]}"
    sizes = tuple(float(size) for size in found.batches)
    across = Axis("rows a call (log scale)", log=True, ticks=sizes, high=max(sizes) * 1.0)
    upward = Axis("median ms (log scale)", log=True)
    heads = ("Runner", *(f"{size}" for size in found.batches))
    table = tuple(
        (name, *(figures.bare_milliseconds(each.p50_ms) for each in timings))
        for name, timings in named.items()
    )
    said = ". ".join(
        f"{name}: {', '.join(f'{e.p50_ms:.3g} ms for {e.batch}' for e in timings)}"
        for name, timings in named.items()
    )
    return Figure(
        title,
        "median time of a call without any server, by rows a call; lower is faster",
        render(curves(lines, across, upward), HEIGHT, title, said),
        heads,
        table,
        tuple(quick_mark(found.quick)),
        keys_of(lines),
    )


def _runner_line(name: str, place: int, timings: Sequence[RunnerTiming]) -> Line:
    points = tuple(
        Point(each.batch, each.p50_ms, f"{name}, {figures.count(each.batch, 'row')}: "
              f"{figures.milliseconds(each.p50_ms)}, {figures.rate(each.rows_per_second)} rows/s")
        for each in timings
    )  # fmt: skip
    return Line(
        name, COLOURS[place % len(COLOURS)], points, DASHES[place // len(COLOURS) % len(DASHES)]
    )


def sweeps(found: Batching) -> list[Sweep]:
    """By server; the setting with the highest throughput within the bound is marked."""
    servers = dict.fromkeys(point.server for point in found.points)
    return [_sweep(found, server) for server in servers]


def _sweep(found: Batching, server: str) -> Sweep:
    choice = next((each for each in found.choices if each.server == server), None)
    points = _shown([point for point in found.points if point.server == server], choice)
    sizes = sorted({batch for batch, _ in points})
    delays = sorted({delay for _, delay in points})
    best = choice.best if choice else None
    most = max((p.requests_per_second for p in points.values() if not p.wrong), default=0.0) or 1.0
    return Sweep(
        server,
        choice.reason if choice else "",
        tuple(f"{delay:g} ms" for delay in delays),
        tuple(
            (
                "no batching" if size == 1 else f"up to {size}",
                tuple(_sweep_cell(points.get((size, delay)), best, most) for delay in delays),
            )
            for size in sizes
        ),
    )


def _shown(
    points: Sequence[BatchingPoint], choice: BatchingChoice | None
) -> dict[tuple[int, float], BatchingPoint]:
    """By batch and delay, of several numbers of clients: the choice, else a wrong one, else the fastest within."""
    best = choice.best if choice else None
    rising = sorted(points, key=lambda p: (p == best, p.wrong > 0, p.within, p.requests_per_second))
    return {(point.batch, point.delay_ms): point for point in rising}


def _sweep_cell(
    point: BatchingPoint | None, best: BatchingPoint | None, most: float
) -> SweepCell | None:
    if point is None:
        return None
    where = f"batches of up to {point.batch} after {point.delay_ms:g} ms, {point.clients} clients"
    if point.wrong:
        tip = f"{where}: {point.wrong:,} of {point.requests:,} answers wrong"
        return SweepCell(figures.VOIDED, "", 0.0, "void", tip)
    state = "best" if point == best else "within" if point.within else "beyond"
    rate, latency = figures.rate(point.requests_per_second), figures.milliseconds(point.p99_ms)
    tip = f"{where}: {rate} requests/s, p50 {figures.milliseconds(point.p50_ms)}, p99 {latency}"
    return SweepCell(rate, latency, point.requests_per_second / most, state, tip)
