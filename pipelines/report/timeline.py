"""Where the time went, as spans on one axis."""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.facts import Timings
from pipelines.report import figures


@dataclass(frozen=True)
class Span:
    """One row; ``start`` and ``share`` are parts of the whole axis, 0 to 1."""

    name: str
    start: float
    share: float
    text: str
    cached: bool = False


@dataclass(frozen=True)
class Timeline:
    """The run as a whole, then its stages in the order in which they began."""

    whole: tuple[Span, ...]
    stages: tuple[Span, ...]
    ratio: str


def timeline(timings: Timings) -> Timeline | None:
    """None where no stage was timed."""
    if not timings.stages:
        return None
    wall, critical = timings.wall_seconds, timings.critical_path_seconds
    ends = [stage.started + stage.seconds for stage in timings.stages]
    axis = max(wall, critical, *ends, 0.001)
    stages = sorted(timings.stages, key=lambda stage: stage.started)
    return Timeline(
        whole=(
            Span("Wall time", 0.0, wall / axis, figures.seconds(wall)),
            Span("Critical path", 0.0, critical / axis, figures.seconds(critical)),
        ),
        stages=tuple(
            Span(
                stage.stage,
                min(max(stage.started / axis, 0.0), 1.0),
                stage.seconds / axis,
                "reused" if stage.cached else figures.seconds(stage.seconds),
                stage.cached,
            )
            for stage in stages
        ),
        ratio=f"{wall / critical:.2f}" if critical > 0 else "",
    )
