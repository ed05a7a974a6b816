"""What pairs of trainings say about the goal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.figures import Figure
from benchmarks.throughput import Pair, median_rate, median_ratio
from models.framework import FRAMEWORKS, TITLES, FrameworkName

PIPELINE_TO_BARE = 0.95


def training_figures(
    pairs: Sequence[Pair], epochs: Mapping[str, int], threads: int
) -> list[Figure]:
    """One figure a framework."""
    return [_figure(pairs, name, epochs[name], threads) for name in FRAMEWORKS]


def _figure(pairs: Sequence[Pair], name: FrameworkName, epochs: int, threads: int) -> Figure:
    ratios = sorted(pair.ratio(name) for pair in pairs)
    inside, bare = (median_rate(pairs, name, side) for side in ("pipeline", "bare"))
    note = (
        f"{inside:,.0f} / {bare:,.0f} rows/s without the first epoch; median of {len(pairs)} paired "
        f"ratios, {ratios[0]:.2f} to {ratios[-1]:.2f}; {epochs} epochs, {threads} thread(s), both side by side"
    )
    return Figure(
        f"training, {TITLES[name]}: pipeline / bare loop",
        median_ratio(pairs, name),
        "×",
        least=PIPELINE_TO_BARE,
        note=note,
    )
