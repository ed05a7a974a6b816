"""The features' drawings: histograms of numbers and bars of texts, all splits on the same bins."""

from __future__ import annotations

from dataclasses import dataclass

import altair as alt
from markupsafe import Markup

from pipelines.report import figures
from pipelines.report.drawing import render
from pipelines.report.statistics import FeatureRow, by_drift, feature_row
from pipelines.tfx.facts import ColumnFacts, FeatureFacts, StatisticsFacts

LOPSIDED = 0.7
"""Where one bin holds a larger share than this, the others are hard to see."""
PALE = 0.42
_DASHES = {"train": [1, 0], "validation": [3, 3], "test": [1, 0]}


@dataclass(frozen=True)
class DrawnFeature:
    """A feature's figures, its drawing, and how the drawing is to be read."""

    row: FeatureRow
    svg: Markup
    note: str


def drawn_features(facts: StatisticsFacts) -> list[DrawnFeature]:
    """Every feature, those that drift most first."""
    return [_drawn(feature_row(facts, feature), feature) for feature in by_drift(facts)]


def _drawn(row: FeatureRow, feature: FeatureFacts) -> DrawnFeature:
    note = "share of rows, square-root scale" if _is_lopsided(feature) else "share of rows"
    chart, height = _words(feature) if feature.values else _histogram(feature)
    return DrawnFeature(row, render(chart, height, feature.name, _said(row)), note)


def _said(row: FeatureRow) -> str:
    return " ".join(
        f"{split}: " + ", ".join(f"{h} {v}" for h, v in zip(row.heads, cells, strict=True)) + "."
        for split, cells in row.lines
    )


Drawing = tuple[alt.LayerChart, int]
"""A chart, and its height in pixels."""


def _histogram(feature: FeatureFacts) -> Drawing:
    """The first split as bars, the others as steps: what does not lie on the bars has shifted."""
    bins = [
        {"split": column.split, "low": low, "high": high, "share": share,
         "tip": f"{feature.name} {figures.plain_number(low)} to {figures.plain_number(high)}, "
                f"{column.split}: {figures.brief_percent(share)} of rows"}
        for column in feature.columns
        for low, high, share in zip(feature.edges, feature.edges[1:], column.shares, strict=False)
    ]  # fmt: skip
    first = feature.columns[0].split
    bars = (
        alt.Chart(alt.Data(values=[each for each in bins if each["split"] == first]))
        .mark_bar(binSpacing=1, color="var(--train)", opacity=PALE)
        .encode(
            x=_across(feature),
            x2="high:Q",
            y=_shares(feature),
            y2=alt.Y2Datum(0),
            description="tip:N",
        )
    )
    steps = [_steps(feature, column) for column in feature.columns[1:]]
    return alt.LayerChart(layer=[bars, *steps]), 118


def _across(feature: FeatureFacts) -> alt.X:
    ends = [feature.edges[0], feature.edges[-1]] if feature.edges else [0, 1]
    axis = alt.Axis(tickCount=5, grid=False, format=".6~r")
    return alt.X("low:Q", title=None, scale=alt.Scale(domain=ends, nice=False), axis=axis)


def _is_lopsided(feature: FeatureFacts) -> bool:
    shares = [share for column in feature.columns for share in column.shares]
    return max(shares, default=0.0) > LOPSIDED


def _shares(feature: FeatureFacts) -> alt.Y:
    """By the square root where nearly all rows are in one bin, or the others could not be seen."""
    scale = alt.Scale(type="sqrt" if _is_lopsided(feature) else "linear", zero=True)
    axis = alt.Axis(tickCount=3, format="~%")
    return alt.Y("share:Q", title=None, stack=None, scale=scale, axis=axis)


def _steps(feature: FeatureFacts, column: ColumnFacts) -> alt.Chart:
    """The outline of a histogram, from the ground up and down to it again."""
    corners = [
        {"low": edge, "share": share}
        for edge, share in zip(feature.edges, [*column.shares, *column.shares[-1:]], strict=False)
    ]
    line = alt.Chart(alt.Data(values=corners)).mark_line(
        interpolate="step-after",
        strokeWidth=1.75,
        color=f"var(--{column.split})",
        strokeDash=_DASHES.get(column.split, [1, 0]),
    )
    chart: alt.Chart = line.encode(x=_across(feature), y=_shares(feature))
    return chart


def _words(feature: FeatureFacts) -> Drawing:
    bars = [
        {"split": column.split, "value": value, "share": share,
         "colour": f"var(--{column.split})", "opacity": PALE if place == 0 else 1.0,
         "tip": f"{feature.name} {value}, {column.split}: {figures.brief_percent(share)} of rows"}
        for place, column in enumerate(feature.columns)
        for value, share in zip(feature.values, column.shares, strict=False)
    ]  # fmt: skip
    order = [column.split for column in feature.columns]
    chart = (
        alt.Chart(alt.Data(values=bars))
        .mark_bar(cornerRadiusEnd=2)
        .encode(
            y=alt.Y(
                "value:N",
                title=None,
                sort=list(feature.values),
                scale=alt.Scale(paddingInner=0.28, paddingOuter=0.1),
                axis=alt.Axis(labelLimit=150, grid=False),
            ),
            yOffset=alt.YOffset("split:N", sort=order, scale=alt.Scale(domain=order)),
            x=alt.X(
                "share:Q",
                title=None,
                stack=None,
                axis=alt.Axis(tickCount=4, format="~%"),
            ),
            color=alt.Color("colour:N", scale=None),
            opacity=alt.Opacity("opacity:Q", scale=None),
            description="tip:N",
        )
    )
    return alt.LayerChart(layer=[chart]), 26 * len(feature.values) + 26
