"""Lines over two axes, linear or logarithmic: what the charts of speed and of its parts are made of.

A server keeps its framework's colour everywhere; a line's dashes tell the protocol, so that no chart is read by
colour alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import altair as alt

from pipelines.report.drawing import CARD, Key, log_ticks

ROOM_FOR_WORDS = 2.2
"""What is above the highest point of a log scale where rules have words at their upper ends."""
LEFT_FROM, RIGHT_UNTIL = 0.25, 0.75
"""Shares of the width between which words have room on either side."""
DASHES: dict[str, list[int]] = {"REST": [1, 0], "gRPC": [5, 4]}


@dataclass(frozen=True)
class Point:
    """One figure; ``low`` to ``high`` is drawn as a whisker, a hollow point is one with a mark against it."""

    x: float
    y: float
    tip: str
    hollow: bool = False
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Line:
    """Points that belong together."""

    label: str
    colour: str
    points: tuple[Point, ...]
    dash: tuple[int, ...] = (1, 0)
    dots: bool = True


@dataclass(frozen=True)
class Rule:
    """A line across the whole drawing at ``at``, with words at its end.

    The words of upright ones stand below one another by ``row``, so that near ones do not cover each other.
    """

    at: float
    text: str
    colour: str
    upright: bool
    row: int = 0


@dataclass(frozen=True)
class Axis:
    """One axis. ``expression`` writes a tick, in Vega's language; ``ticks`` of None leaves them to Vega."""

    title: str
    log: bool = False
    ticks: tuple[float, ...] | None = None
    expression: str = "format(datum.value, '.6~r')"
    low: float | None = None
    high: float | None = None


def keys_of(lines: Sequence[Line]) -> tuple[Key, ...]:
    """The legend, in the order in which the lines end, from top to bottom."""
    drawn = sorted((line for line in lines if line.points), key=lambda line: -line.points[-1].y)
    return tuple(Key(line.label, line.colour, _stroke(line.dash)) for line in drawn)


def _stroke(dash: Sequence[int]) -> Literal["solid", "dashed", "dotted"]:
    if dash[1] == 0:
        return "solid"
    return "dotted" if dash[0] < dash[1] else "dashed"


def curves(
    lines: Sequence[Line], across: Axis, upward: Axis, rules: Sequence[Rule] = ()
) -> alt.LayerChart:
    """Lines that have no point are left out; there must be one that has."""
    xs = [point.x for line in lines for point in line.points]
    ys = [end for line in lines for point in line.points
          for end in (point.y, point.low, point.high) if end is not None]  # fmt: skip
    xs += [rule.at for rule in rules if rule.upright]
    ys += [rule.at for rule in rules if not rule.upright]
    x = _channel(alt.X, "x:Q", across, xs, grid=False)
    if any(rule.upright for rule in rules):
        ys.append(max(ys) * (ROOM_FOR_WORDS if upward.log else 1.2))
    y = _channel(alt.Y, "y:Q", upward, ys, grid=True)
    layers = [layer for line in lines if line.points for layer in _line(line, x, y)]
    ends = (min(xs), max(xs))
    drawn = [_rule(rule, x, y) for rule in rules]
    return alt.LayerChart(layer=[*drawn, *layers, *(_word(rule, x, y, ends) for rule in rules)])


def _channel(kind: Any, field: str, axis: Axis, values: Iterable[float], grid: bool) -> Any:
    found = list(values)
    low = min(found) if axis.low is None else axis.low
    high = max(found) if axis.high is None else axis.high
    if axis.log:
        low, high = low / 1.12, high * 1.12
    elif axis.high is None:
        high += (high - low) * 0.06
    ticks = axis.ticks or (tuple(log_ticks(low, high)) if axis.log else None)
    if low == high:
        low, high = (low / 2, high * 2) if axis.log else (low - 1, high + 1)
    scale = alt.Scale(
        type="log" if axis.log else "linear", domain=[low, high], nice=False, zero=False
    )
    drawn: dict[str, Any] = {"values": list(ticks)} if ticks else {"tickCount": 5}
    look = alt.Axis(grid=grid, labelExpr=axis.expression, labelOverlap=True, **drawn)
    return kind(field, title=axis.title, scale=scale, axis=look)


def _line(line: Line, x: Any, y: Any) -> list[alt.Chart]:
    points = [
        {"x": p.x, "y": p.y, "tip": p.tip, "fill": CARD if p.hollow else line.colour}
        for p in line.points
    ]
    base = alt.Chart(alt.Data(values=points)).encode(x=x, y=y)
    stroke = base.mark_line(
        strokeWidth=2,
        strokeCap="round",
        strokeJoin="round",
        color=line.colour,
        strokeDash=list(line.dash),
    )
    dot = base.mark_point(
        size=42 if line.dots else 110,
        stroke=line.colour if line.dots else None,
        strokeWidth=1.75,
        opacity=1 if line.dots else 0,
        filled=not line.dots,
    ).encode(description="tip:N", fill=alt.Fill("fill:N", scale=None))
    return [*_whiskers(line, x, y), stroke, dot]


def _whiskers(line: Line, x: Any, y: Any) -> list[alt.Chart]:
    ends = [{"x": p.x, "y": p.low, "high": p.high} for p in line.points if p.low is not None]
    if not ends:
        return []
    mark = alt.Chart(alt.Data(values=ends)).mark_rule(
        strokeWidth=6, opacity=0.28, color=line.colour, strokeCap="round"
    )
    return [mark.encode(x=x, y=y, y2=alt.Y2("high:Q"))]


def _rule(rule: Rule, x: Any, y: Any) -> alt.Chart:
    where = {"x": x} if rule.upright else {"y": y}
    mark = alt.Chart(alt.Data(values=[{"x": rule.at, "y": rule.at}])).mark_rule(
        color=rule.colour, strokeDash=[2, 3], strokeWidth=1.5, aria=False
    )
    chart: alt.Chart = mark.encode(**where)
    return chart


def _word(rule: Rule, x: Any, y: Any, ends: tuple[float, float]) -> Any:
    """The first rule's words stand to its left and the others' to their right, where there is room."""
    data = alt.Chart(alt.Data(values=[{"x": rule.at, "y": rule.at, "text": rule.text}]))
    if rule.upright:
        share = (rule.at - ends[0]) / max(ends[1] - ends[0], 1e-9)
        left = share > (LEFT_FROM if rule.row == 0 else RIGHT_UNTIL)
        beside = data.mark_text(
            align="right" if left else "left",
            dx=-5 if left else 5,
            color=rule.colour,
            aria=False,
        )
        return beside.encode(x=x, y=alt.value(8 + 15 * rule.row), text="text:N")
    above = data.mark_text(align="right", dy=-7, color=rule.colour, aria=False)
    return above.encode(x=alt.value("width"), y=y, text="text:N")


def percentile_position(rank: float) -> float:
    """Where a percentile stands on an axis that gives every further nine as much room: 90 at 1, 99 at 2.

    It is how HdrHistogram's plots are drawn (https://hdrhistogram.github.io/HdrHistogram/plotFiles.html).
    """
    return -math.log10(1 - rank / 100)


PERCENTILE_AXIS = "format(100 * (1 - pow(10, -datum.value)), '.5~r')"
"""A tick of ``percentile_position`` as the percentile that it is."""
