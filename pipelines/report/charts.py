"""The charts of the report. Blue is TensorFlow, orange is PyTorch, everywhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import altair as alt

from pipelines.facts import Epoch, RunReport
from pipelines.report import figures
from pipelines.report.drawing import (
    Bar,
    Figure,
    bar_rows,
    colour_of,
    log_ticks,
    render,
)
from pipelines.report.sides import FRAMEWORKS

_STROKES = ({"width": 7.0, "opacity": 0.45}, {"width": 2.0, "opacity": 1.0})
LOG_FROM_RATIO = 20
"""Losses that shrink by more than this are drawn on a log scale, or the end could not be seen."""


def training_charts(report: RunReport) -> list[Figure]:
    """Losses and validation accuracy by epoch, both frameworks laid over one another."""
    return [
        figure
        for figure in (
            _curves(report, "Training loss", "nats per row", lambda epoch: epoch.loss),
            _curves(report, "Validation loss", "nats per row", lambda epoch: epoch.validation_loss),
            _curves(
                report,
                "Validation accuracy",
                "share of rows",
                lambda epoch: epoch.validation_accuracy,
            ),
        )
        if figure
    ]


def _curves(
    report: RunReport, title: str, unit: str, value_of: Callable[[Epoch], float]
) -> Figure | None:
    points = [
        {
            "epoch": epoch.number,
            "value": value_of(epoch),
            "framework": facts.framework,
            **_STROKES[min(place, 1)],
            "tip": f"{FRAMEWORKS[facts.framework]}, epoch {epoch.number}: {value_of(epoch):.4f}",
        }
        for place, facts in enumerate(report.training)
        for epoch in facts.epochs
        if figures.is_known(value_of(epoch))
    ]
    if not points:
        return None
    values = [float(point["value"]) for point in points]
    log = min(values) > 0 and max(values) / min(values) > LOG_FROM_RATIO
    note = f"{unit}, by epoch{', log scale' if log else ''}"
    svg = render(_lines(points, log), 220, title, _ends(report, value_of))
    names = tuple(FRAMEWORKS[facts.framework] for facts in report.training)
    return Figure(title, note, svg, ("Epoch", *names), _by_epoch(report, value_of))


def _lines(points: list[dict[str, Any]], log: bool) -> alt.LayerChart:
    """The first framework's line is broad and the second's narrow: equal curves show as one inside
    the other, not as one that hides the other."""
    base = alt.Chart(alt.Data(values=points)).encode(
        x=alt.X(
            "epoch:Q",
            title="epoch",
            scale=alt.Scale(zero=False, nice=False),
            axis=alt.Axis(grid=False, tickMinStep=1, tickCount=5),
        ),
        y=_log_axis([point["value"] for point in points]) if log else _linear_axis(),
        color=alt.Color(
            "framework:N",
            legend=None,
            scale=alt.Scale(
                domain=list(FRAMEWORKS), range=[colour_of(name) for name in FRAMEWORKS]
            ),
        ),
    )
    line = base.mark_line(strokeCap="round", strokeJoin="round").encode(
        strokeWidth=alt.StrokeWidth("width:Q", scale=None),
        opacity=alt.Opacity("opacity:Q", scale=None),
    )
    # Large and invisible: what a pointer or a finger hits.
    target = base.mark_point(filled=True, size=180, opacity=0).encode(description="tip:N")
    return alt.LayerChart(layer=[line, target])


def _linear_axis() -> alt.Y:
    scale = alt.Scale(zero=False, nice=True)
    return alt.Y("value:Q", title=None, scale=scale, axis=alt.Axis(tickCount=5))


def _log_axis(values: Sequence[float]) -> alt.Y:
    low, high = min(values) / 1.2, max(values) * 1.2
    scale = alt.Scale(type="log", domain=[low, high], nice=False)
    return alt.Y(
        "value:Q", title=None, scale=scale, axis=alt.Axis(values=log_ticks(low, high), format="~g")
    )


def _by_epoch(report: RunReport, value_of: Callable[[Epoch], float]) -> tuple[tuple[str, ...], ...]:
    by_framework = [{e.number: value_of(e) for e in facts.epochs} for facts in report.training]
    numbers = sorted({number for values in by_framework for number in values})
    return tuple(
        (
            str(number),
            *(f"{v[number]:.4f}" if number in v else figures.UNKNOWN for v in by_framework),
        )
        for number in numbers
    )


def _ends(report: RunReport, value_of: Callable[[Epoch], float]) -> str:
    return " ".join(
        f"{FRAMEWORKS[facts.framework]} goes from {value_of(facts.epochs[0]):.4f} "
        f"to {value_of(facts.epochs[-1]):.4f} in {figures.count(len(facts.epochs), 'epoch')}."
        for facts in report.training
        if facts.epochs
    )


def footprint_charts(report: RunReport) -> list[Figure]:
    """Time to the first answer, memory, and the size of every exported file."""
    ready = [
        Bar(s.label, s.ready_seconds, figures.seconds(s.ready_seconds), colour_of(s.framework))
        for s in report.servers
    ]
    memory = [
        Bar(f"{s.label}, {state}", size, figures.data_size(size), colour_of(s.framework), opacity)
        for s in report.servers
        for state, size, opacity in (("idle", s.idle_bytes, 0.5), ("loaded", s.loaded_bytes, 1.0))
        if size is not None
    ]
    sizes = [
        Bar(a.format, a.bytes, figures.data_size(a.bytes), colour_of(a.framework))
        for a in report.artifacts
    ]
    kinds = "/".join(sorted({s.memory_kind for s in report.servers if s.memory_kind}))
    charts = (
        ("First correct answer", "seconds from the start of the server", ready),
        ("Memory", f"{kinds or 'resident'}, the server's whole process tree", memory),
        ("Exported files", "size on disk", sizes),
    )
    return [_bars(title, note, bars) for title, note, bars in charts if bars]


def _bars(title: str, note: str, bars: Sequence[Bar]) -> Figure:
    said = ". ".join(f"{bar.label}: {bar.text}" for bar in bars)
    table = tuple((bar.label, bar.text) for bar in bars)
    return Figure(title, note, bar_rows(bars, title, said), ("What", "Figure"), table)
