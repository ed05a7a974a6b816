"""What the two runs of ``demo`` say about the goals."""

from __future__ import annotations

from benchmarks.figures import Figure
from benchmarks.runs import DemoRun, made_again

COLD_SECONDS = 180.0
CACHED_SECONDS = 30.0
WALL_TO_CRITICAL_PATH = 1.25
PEAK_GIGABYTES = 4.0


def cold_figures(run: DemoRun) -> list[Figure]:
    """Time, exit code, overhead and memory of the first run."""
    memory, figures = run.memory, _of_run("demo, cold", run, COLD_SECONDS)
    if memory is None:
        return figures
    largest = ", ".join(f"{name} {size / 1e6:,.0f} MB" for name, size in memory.peak_processes[:3])
    note = (
        f"{memory.kind}, {memory.samples} samples that cost {memory.cost_seconds:.1f} s; {largest}"
    )
    peak = memory.peak_bytes / 1e9
    left = Figure(
        "demo, cold: processes left behind", len(run.left), most=0, note="; ".join(run.left)
    )
    return [
        *figures,
        Figure("demo, cold: peak memory of the tree", peak, "GB", PEAK_GIGABYTES, note=note),
        left,
    ]


def cached_figures(run: DemoRun) -> list[Figure]:
    """Time, exit code, overhead and reuse of the second run."""
    again = made_again(run.report) if run.report else []
    return [
        *_of_run("demo, unchanged", run, CACHED_SECONDS),
        Figure(
            "demo, unchanged: made again",
            len(again) if run.report else None,
            most=0,
            note=", ".join(again) or "nothing trained, exported or verified again",
        ),
    ]


def where_time_goes(name: str, run: DemoRun) -> list[str]:
    """One line a stage, in the order of their start; then what lies outside the flow."""
    if run.report is None:
        return []
    timings = run.report.timings
    lines = [f"\nWhere the time of the {name} run goes (start, seconds, stage):"]
    lines += [
        f"  {stage.started:6.1f} {stage.seconds:6.1f}  {stage.stage}{' (cached)' * stage.cached}"
        for stage in timings.stages
    ]
    lines.append(f"  {run.outside_seconds:13.1f}  before and after the stages")
    return lines


def _of_run(title: str, run: DemoRun, most_seconds: float) -> list[Figure]:
    report = run.report
    outside = f"{run.outside_seconds:.1f} s of it outside the stages" if report else "no report"
    figures = [
        Figure(f"{title}: wall time", run.seconds, "s", most_seconds, note=outside),
        Figure(f"{title}: exit code", run.exit_code, most=0),
    ]
    if report is None:
        return figures
    wall, path = report.timings.wall_seconds, report.timings.critical_path_seconds
    ratio = Figure(
        f"{title}: flow / critical path",
        wall / path if path else None,
        "×",
        WALL_TO_CRITICAL_PATH,
        note=f"{wall:.1f} s / {path:.1f} s",
    )
    return [*figures, ratio]
