"""What the sizes say about the goals: a row costs the same however many there are, and memory stays."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from benchmarks.figures import Figure
from benchmarks.scaling import Size
from models.framework import FRAMEWORKS, TITLES, FrameworkName

TIME_TO_SMALLEST = 1.2
MEMORY_TO_SECOND_LARGEST = 1.2
RUN_SECONDS = 600.0


def scale_figures(sizes: Sequence[Size], seconds: float) -> list[Figure]:
    """Time of every size against the smallest, which comes first; memory of the largest against the one before.

    The smallest is less than one window of the shuffle (``models.batches``), so memory still grows to the next.
    From there it must not: that is what bounded means.

    Args:
        sizes: what was measured.
        seconds: of the whole benchmark.
    """
    least, *others = sizes
    figures = [Figure("smallest: rows of the train split", least.rows)]
    figures += [_row_time(least, name) for name in FRAMEWORKS]
    for size in others:
        figures += [_row_time_ratio(size, least, name) for name in FRAMEWORKS]
        figures += [_other_ratio(size, least, name) for name in FRAMEWORKS]
    figures += [_memory(size) for size in sizes]
    figures.append(_memory_ratio(sizes[-1], sizes[-2]))
    figures.append(Figure("whole benchmark", seconds, "s", RUN_SECONDS))
    return figures


def row_seconds(size: Size, framework: FrameworkName) -> float:
    """Of training, by row and epoch: the median epoch of those that count."""
    return statistics.median(size.trained[framework].epoch_seconds) / size.rows


def _row_time(size: Size, framework: FrameworkName) -> Figure:
    epochs = len(size.trained[framework].epoch_seconds)
    return Figure(
        f"{TITLES[framework]}, ×{size.factor}: training, a row",
        row_seconds(size, framework) * 1e6,
        "µs",
        note=f"median of {epochs} epochs without the first, both frameworks side by side",
    )


def _row_time_ratio(size: Size, least: Size, framework: FrameworkName) -> Figure:
    now, then = (row_seconds(each, framework) for each in (size, least))
    return Figure(
        f"{TITLES[framework]}, ×{size.factor}: training, a row / ×{least.factor}",
        now / then,
        "×",
        TIME_TO_SMALLEST,
        note=f"{now * 1e6:.2f} / {then * 1e6:.2f} µs; {size.rows:,} rows",
    )


def _other_ratio(size: Size, least: Size, framework: FrameworkName) -> Figure:
    now, then = (each.trained[framework].other_seconds / each.rows for each in (size, least))
    return Figure(
        f"{TITLES[framework]}, ×{size.factor}: encoding and validation, a row / ×{least.factor}",
        now / then,
        "×",
        TIME_TO_SMALLEST,
        note=f"{now * 1e6:.2f} / {then * 1e6:.2f} µs",
    )


def _memory(size: Size) -> Figure:
    largest = ", ".join(
        f"{name} {held / 1e6:,.0f} MB" for name, held in size.memory.peak_processes[:3]
    )
    return Figure(
        f"×{size.factor}: peak memory of the tree",
        size.memory.peak_bytes / 1e6,
        "MB",
        note=f"{size.memory.kind}; {largest}",
    )


def _memory_ratio(size: Size, before: Size) -> Figure:
    now, then = (each.memory.peak_bytes for each in (size, before))
    return Figure(
        f"×{size.factor}: peak memory / ×{before.factor}",
        now / then,
        "×",
        MEMORY_TO_SECOND_LARGEST,
        note=f"{size.factor / before.factor:g} times the rows",
    )
