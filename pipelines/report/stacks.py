"""Rows of stacked parts: what a whole is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import altair as alt
from markupsafe import Markup

from pipelines.report.drawing import BAND, CARD, TRACK, render, row_texts, rows_axis

SHADES = (1.0, 0.6, 0.34, 0.16)
"""Of the row's colour, part by part; gaps between parts keep them apart without any."""


@dataclass(frozen=True)
class Stack:
    """One row; parts that are not above 0 are left out, and a row without parts is a track alone."""

    label: str
    text: str
    colour: str
    parts: tuple[tuple[str, float, str], ...]
    """Name, value, and the value as it is written."""


def stacked_rows(stacks: Sequence[Stack], title: str, description: str) -> Markup:
    """Horizontal bars from zero, each divided into its parts."""
    wholes = [sum(max(value, 0) for _, value, _ in stack.parts) for stack in stacks]
    most = max(wholes, default=0.0) or 1.0
    rows = [
        {"row": n, "zero": 0, "end": most, "label": stack.label, "text": stack.text}
        for n, stack in enumerate(stacks)
    ]
    parts = [part for n, stack in enumerate(stacks) for part in _parts(n, stack)]
    scale = alt.Scale(domain=[0, most], nice=False)
    base = alt.Chart(alt.Data(values=rows)).encode(y=rows_axis(len(rows)))
    track = base.mark_bar(size=14, cornerRadius=4, color=TRACK, aria=False).encode(
        x=alt.X("zero:Q", axis=None, scale=scale), x2="end:Q"
    )
    bar = (
        alt.Chart(alt.Data(values=parts))
        .mark_bar(size=14, stroke=CARD, strokeWidth=1.5)
        .encode(
            y=rows_axis(len(rows)),
            x=alt.X("low:Q", axis=None, scale=scale),
            x2="high:Q",
            color=alt.Color("colour:N", scale=None),
            fillOpacity=alt.FillOpacity("shade:Q", scale=None),
            description="tip:N",
        )
    )
    layers = [track, bar, row_texts(base)] if parts else [track, row_texts(base)]
    return render(alt.LayerChart(layer=layers), BAND * len(rows), title, description)


def _parts(row: int, stack: Stack) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    low = 0.0
    for place, (name, value, written) in enumerate(stack.parts):
        if value > 0:
            found.append(
                {
                    "row": row,
                    "low": low,
                    "high": low + value,
                    "colour": stack.colour,
                    "shade": SHADES[min(place, len(SHADES) - 1)],
                    "tip": f"{stack.label}, {name}: {written}",
                }
            )
            low += value
    return found
