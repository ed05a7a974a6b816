"""The slices' drawings: for each metric and each model a dot and its interval, worst slices first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, get_args

import altair as alt
from markupsafe import Markup

from pipelines.report import figures
from pipelines.report.drawing import INK, TRACK, Figure, colour_of, render
from pipelines.report.sides import FRAMEWORKS
from pipelines.report.slices import TITLES, Key, known, label_of, worst_first, written
from pipelines.tfx.facts import BoundFacts, Metric, ModelSlices, SliceFacts, SlicesFacts

ROW = 32
"""Pixels of a slice."""
FAIL = "var(--fail)"
MEANINGS: dict[Metric, str] = {
    "roc_auc": "How often a positive row gets a higher probability than a negative one: 0.5 is guessing, "
    "1 is perfect.",
    "pr_auc": "Average precision. Guessing gets the slice's share of positive rows, so slices with more of "
    "them score higher.",
    "log_loss": "Mean cross-entropy, nats a row; less is better.",
    "calibration": "Mean probability by share of positive rows: 1 is right, above 1 foretells too many.",
}


@dataclass(frozen=True)
class MetricView:
    """One metric: what it means, and a chart for each column that was sliced by."""

    key: Metric
    title: str
    meaning: str
    charts: tuple[Figure, ...]


def metric_views(facts: SlicesFacts) -> list[MetricView]:
    """Every metric that was measured, by column; a column without a slice of enough rows is left out."""
    measured = {name for model in facts.models for each in model.slices for name in each.metrics}
    return [
        MetricView(
            metric,
            TITLES[metric],
            MEANINGS[metric],
            tuple(_chart(facts, metric, column) for column in facts.columns if _in(facts, column)),
        )
        for metric in get_args(Metric)
        if metric in measured
    ]


def _in(facts: SlicesFacts, column: str) -> bool:
    return any(each.column == column for model in facts.models for each in model.slices)


def _chart(facts: SlicesFacts, metric: Metric, column: str) -> Figure:
    keys = [("", ""), *worst_first(facts, metric, column)]
    title = f"{TITLES[metric]} by {column}"
    points = [
        _point(model, each, metric)
        for model in facts.models
        for each in model.slices
        if (each.column, each.value) in keys and known(each, metric)
    ]
    labels = [label_of(*key) for key in keys]
    ticks = [tick for key in keys for tick in _bounds(facts, metric, key)]
    missed = {
        label_of(each.column, each.value)
        for model in facts.models
        for each in model.missed
        if each.metric == metric
    }
    said = ". ".join(str(point["tip"]) for point in points)
    chart = _dots(points, ticks, labels, missed & set(labels), _domain(facts, metric))
    svg = render(chart, ROW * len(labels) + 34, title, said) if points else Markup("")
    return Figure(title, "", svg, _heads(facts, column, metric), _table(facts, metric, keys))


def _point(model: ModelSlices, each: SliceFacts, metric: Metric) -> dict[str, Any]:
    found = each.metrics[metric]
    name, label = FRAMEWORKS[model.framework], label_of(each.column, each.value)
    served = "" if found.in_service is None else f", in service {found.in_service:.3f}"
    where = f"{each.column} {label}" if each.column else label
    low, high = (found.value if end is None else end for end in (found.low, found.high))
    return {
        "label": label,
        "model": name,
        "value": found.value,
        "low": low,
        "high": high,
        "service": found.in_service,
        "colour": colour_of(model.framework),
        "tip": f"{name}, {where}: {written(found)}{served}, {figures.count(each.rows, 'row')}",
    }


def _bounds(facts: SlicesFacts, metric: Metric, key: Key) -> list[dict[str, Any]]:
    scope = "slices" if key[0] else "overall"
    return [
        {"label": label_of(*key), "bound": bound, "tip": f"{TITLES[metric]} {word} {bound:g}"}
        for each in facts.bounds
        if (each.scope, each.metric) == (scope, metric)
        for word, bound in _ends(each)
    ]


def _ends(bound: BoundFacts) -> list[tuple[str, float]]:
    ends = (("at least", bound.min), ("at most", bound.max))
    return [(word, value) for word, value in ends if value is not None]


def _dots(
    points: list[dict[str, Any]],
    ticks: list[dict[str, Any]],
    labels: list[str],
    missed: set[str],
    domain: tuple[float, float],
) -> alt.LayerChart:
    scale = alt.Scale(domain=domain, nice=False, zero=False)
    down = alt.Y(
        "label:N",
        title=None,
        sort=labels,
        scale=alt.Scale(domain=labels, padding=0),
        axis=alt.Axis(labelColor=_label_colour(missed), labelLimit=96, grid=False),
    )
    models = [FRAMEWORKS[name] for name in FRAMEWORKS]
    base = alt.Chart(alt.Data(values=points)).encode(
        y=down,
        yOffset=alt.YOffset("model:N", scale=alt.Scale(domain=models, padding=0.5)),
        color=alt.Color("colour:N", scale=None),
        description="tip:N",
    )
    across = alt.X("low:Q", title=None, scale=scale, axis=alt.Axis(tickCount=5, format="~g"))
    whisker = base.mark_rule(strokeWidth=2, opacity=0.55).encode(x=across, x2="high:Q")
    dot = base.mark_point(filled=True, size=54, opacity=1).encode(x=alt.X("value:Q", scale=scale))
    service = base.mark_tick(thickness=2, size=11, opacity=0.8).encode(
        x=alt.X("service:Q", scale=scale)
    )
    bands = (
        alt.Chart(alt.Data(values=[{"label": label} for label in labels[::2]]))
        .mark_bar(color=TRACK, opacity=0.45, height=ROW, aria=False)
        .encode(y=down, x=alt.value(0), x2=alt.value("width"))
    )
    bound = (
        alt.Chart(alt.Data(values=ticks))
        .mark_tick(thickness=1.5, size=ROW + 1, color=FAIL, opacity=0.75, aria=False)
        .encode(y=down, x=alt.X("bound:Q", scale=scale))
    )
    served = [service] if any(point["service"] is not None for point in points) else []
    return alt.LayerChart(layer=[bands, bound, whisker, *served, dot])


def _domain(facts: SlicesFacts, metric: Metric) -> tuple[float, float]:
    """One for all charts of a metric, so that they can be compared."""
    found = [each.metrics.get(metric) for model in facts.models for each in model.slices]
    ends = [end for each in found if each for end in (each.value, each.low, each.high)]
    bounds = [end for each in facts.bounds if each.metric == metric for _, end in _ends(each)]
    drawn = [end for end in (*ends, *bounds) if end is not None] or [0.0, 1.0]
    low, high = min(drawn), max(drawn)
    margin = (high - low or 1.0) * 0.04
    return low - margin, high + margin


def _label_colour(missed: set[str]) -> Any:
    """Missed slices in red."""
    if not missed:
        return INK
    names = ", ".join(f"'{_quoted(name)}'" for name in sorted(missed))
    return {"condition": {"test": f"indexof([{names}], datum.value) >= 0", "value": FAIL},
            "value": INK}  # fmt: skip


def _quoted(name: str) -> str:
    """As inside a string of Vega's expression language."""
    return name.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")


def _heads(facts: SlicesFacts, column: str, metric: Metric) -> tuple[str, ...]:
    models = (f"{FRAMEWORKS[model.framework]} {TITLES[metric]}" for model in facts.models)
    return (column, "Rows", "Positive", *models)


def _table(facts: SlicesFacts, metric: Metric, keys: list[Key]) -> tuple[tuple[str, ...], ...]:
    rows = []
    for key in keys:
        found = [
            next((each for each in model.slices if (each.column, each.value) == key), None)
            for model in facts.models
        ]
        first = next((each for each in found if each), None)
        if first:
            metrics = (each.metrics.get(metric) if each else None for each in found)
            cells = (written(each) if each else figures.UNKNOWN for each in metrics)
            share = figures.brief_percent(first.positives)
            rows.append((label_of(*key), f"{first.rows:,}", share, *cells))
    return tuple(rows)
