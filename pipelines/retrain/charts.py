"""The drawings of a timeline. Blue is TensorFlow, orange is PyTorch, as in the report."""

from __future__ import annotations

from typing import Any

import altair as alt

from models.framework import TITLES
from pipelines.report import figures
from pipelines.report.drawing import INK, LINE, MUTED, Figure, colour_of, render
from pipelines.retrain.facts import PerformanceFacts, SpanFacts, Timeline, ratio
from pipelines.tfx.facts import DriftFacts

HEIGHT = 250
REFUSED = "var(--fail-tint)"
SHOWN_FEATURES = 6
"""Of the features that have drifted furthest."""
GREYS = (1.0, 0.75, 0.55, 0.4, 0.3, 0.22)
DASHES = {"frozen": [2, 4], "in service": [1, 0]}
METRICS = {
    "roc_auc": ("ROC AUC", "more is better"),
    "log_loss": ("Log loss", "nats a row, less is better"),
}


def timeline_charts(timeline: Timeline) -> list[Figure]:
    """Performance of the frozen and the retrained model by span, then the drift that set retraining off."""
    charts = [_performance(timeline, metric) for metric in METRICS]
    return [chart for chart in (*charts, _features(timeline), _predictions(timeline)) if chart]


def _performance(timeline: Timeline, metric: str) -> Figure | None:
    title, unit = METRICS[metric]
    points = [
        _point(timeline, span, each, metric) for span in timeline.spans for each in serving(span)
    ]
    if not points:
        return None
    low, high = (pick(point["value"] for point in points) for pick in (min, max))
    room = (high - low or 0.01) * 0.12
    scale = alt.Scale(domain=[low - room, high + room], nice=False)
    base = alt.Chart(alt.Data(values=points)).encode(
        x=_across(timeline),
        y=alt.Y("value:Q", title=None, scale=scale, axis=alt.Axis(tickCount=5, format=".3f")),
        color=alt.Color("colour:N", scale=None),
        detail="series:N",
    )
    dash = alt.StrokeDash(
        "line:N", scale=alt.Scale(domain=list(DASHES), range=list(DASHES.values())), legend=None
    )
    line = base.mark_line(strokeWidth=2, strokeCap="round").encode(strokeDash=dash)
    dot = base.mark_point(filled=True, size=36, opacity=1).encode(description="tip:N")
    note = f"{unit}; solid: retrained, dotted: frozen; bars: retraining fired, red: refused"
    said = " ".join(point["tip"] + "." for point in points[-4:])
    layers = [*_fired(timeline), line, dot]
    return Figure(
        title,
        note,
        render(alt.LayerChart(layer=layers), HEIGHT, title, said),
        (timeline.span.capitalize(), "Model", "Framework", title),
        tuple((str(p["span"]), p["line"], p["framework"], f"{p['value']:.4f}") for p in points),
    )


def serving(span: SpanFacts) -> list[PerformanceFacts]:
    """The lines of a span; where nothing was in service yet, its first candidate is both of them."""
    found = [each for each in span.performance if each.line != "candidate"]
    if found or not span.pushed:
        return found
    return [
        each.model_copy(update={"line": line})
        for each in span.performance
        for line in ("frozen", "in service")
    ]


def _point(
    timeline: Timeline, span: SpanFacts, each: PerformanceFacts, metric: str
) -> dict[str, Any]:
    value = getattr(each, metric)
    who = "retrained" if each.line == "in service" else each.line
    return {
        "span": span.span,
        "value": value,
        "line": each.line,
        "framework": TITLES[each.framework],
        "series": f"{each.line} {each.framework}",
        "colour": colour_of(each.framework),
        "tip": f"{timeline.span} {span.span}, {TITLES[each.framework]}, {who} "
        f"(version {each.version}): {value:.4f}",
    }


def _features(timeline: Timeline) -> Figure | None:
    """Scores in multiples of their thresholds, of the features that got furthest."""
    furthest: dict[str, float] = {}
    for span in timeline.spans:
        for name, each in _columns(timeline, span).items():
            furthest[name] = max(ratio(each), furthest.get(name, 0.0))
    names = sorted(furthest, key=lambda name: -furthest[name])[:SHOWN_FEATURES]
    points = [
        {
            "span": span.span,
            "value": ratio(each),
            "feature": name,
            "opacity": GREYS[names.index(name)],
            "tip": f"{timeline.span} {span.span}, {name}: {each.score:.3f}, "
            f"{ratio(each):.2f} × its threshold",
        }
        for span in timeline.spans
        for name, each in _columns(timeline, span).items()
        if name in names
    ]
    if not points:
        return None
    title = "Drift of features and of the label"
    base = alt.Chart(alt.Data(values=points)).encode(
        x=_across(timeline),
        y=alt.Y("value:Q", title=None, axis=alt.Axis(tickCount=5)),
        detail="feature:N",
        opacity=alt.Opacity("opacity:Q", scale=None),
    )
    drawn = alt.LayerChart(
        layer=[
            *_fired(timeline),
            _limit(timeline.policy.feature_drift),
            base.mark_line(strokeWidth=2, color=INK),
            base.mark_point(filled=True, size=36, color=INK).encode(description="tip:N"),
        ]
    )
    said = f"Furthest: {', '.join(f'{name} {furthest[name]:.2f}' for name in names)}."
    return Figure(
        title,
        "from the rows that the model in service was trained on, in multiples of the schema's threshold; "
        f"darkest first: {', '.join(names)}",
        render(drawn, HEIGHT, title, said),
        (timeline.span.capitalize(), "Feature", "Score", "× threshold"),
        tuple(
            (str(span.span), name, f"{each.score:.4f}", f"{ratio(each):.2f}")
            for span in timeline.spans
            for name, each in sorted(
                _columns(timeline, span).items(), key=lambda pair: -ratio(pair[1])
            )
        ),
    )


def _columns(timeline: Timeline, span: SpanFacts) -> dict[str, DriftFacts]:
    """Drift of every feature by its name, and of the label by what its share is called."""
    label = {timeline.share: span.label_drift} if span.label_drift else {}
    return {each.feature: each for each in span.drift} | label


def _predictions(timeline: Timeline) -> Figure | None:
    points: list[dict[str, Any]] = [
        {
            "span": span.span,
            "value": each.score,
            "framework": each.framework,
            "colour": colour_of(each.framework),
            "tip": f"{timeline.span} {span.span}, {TITLES[each.framework]}: {each.score:.4f}",
        }
        for span in timeline.spans
        for each in span.prediction_drift
    ]
    if not points:
        return None
    title = "Drift of predictions"
    base = alt.Chart(alt.Data(values=points)).encode(
        x=_across(timeline),
        y=alt.Y("value:Q", title=None, axis=alt.Axis(tickCount=5)),
        color=alt.Color("colour:N", scale=None),
        detail="framework:N",
    )
    drawn = alt.LayerChart(
        layer=[
            *_fired(timeline),
            _limit(timeline.policy.prediction_drift),
            base.mark_line(strokeWidth=2),
            base.mark_point(filled=True, size=36, opacity=1).encode(description="tip:N"),
        ]
    )
    return Figure(
        title,
        "Jensen-Shannon divergence, bits, from the span that the model in service was blessed on; "
        "dashed: the limit",
        render(drawn, HEIGHT, title, " ".join(point["tip"] + "." for point in points[-2:])),
        (timeline.span.capitalize(), "Framework", "Score"),
        tuple((str(p["span"]), TITLES[p["framework"]], f"{p['value']:.4f}") for p in points),
    )


def _across(timeline: Timeline) -> alt.X:
    numbers = [span.span for span in timeline.spans]
    scale = alt.Scale(domain=[min(numbers) - 0.4, max(numbers) + 0.4], nice=False)
    axis = alt.Axis(values=numbers, format="d", grid=False)
    return alt.X("span:Q", title=timeline.span, scale=scale, axis=axis)


def _fired(timeline: Timeline) -> list[alt.LayerChart | alt.Chart]:
    """A bar behind every span at which retraining fired, red where the candidate was refused."""
    bars = [
        {
            "span": span.span,
            "colour": LINE if span.pushed else REFUSED,
            "tip": _fired_tip(timeline, span),
        }
        for span in timeline.spans
        if span.retrained
    ]
    if not bars:
        return []
    mark = alt.Chart(alt.Data(values=bars)).mark_rule(strokeWidth=13, opacity=0.75)
    return [
        mark.encode(
            x=_across(timeline), color=alt.Color("colour:N", scale=None), description="tip:N"
        )
    ]


def _fired_tip(timeline: Timeline, span: SpanFacts) -> str:
    done = (
        f"version {span.candidate} pushed" if span.pushed else f"version {span.candidate} refused"
    )
    return f"{timeline.span} {span.span}: {done}. {figures.printable('; '.join(span.reasons))}"


def _limit(value: float) -> alt.Chart:
    data = alt.Data(values=[{"value": value}])
    drawn: alt.Chart = alt.Chart(data).mark_rule(strokeDash=[4, 4], color=MUTED)
    return drawn.encode(y="value:Q")
