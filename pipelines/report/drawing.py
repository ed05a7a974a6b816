"""How charts look: one style, drawn by Vega to SVG that goes inline and takes its colours from CSS.

Colours are CSS variables (``var(--tensorflow)``), which Vega hands through untouched, so one drawing
serves light and dark mode. Every chart is ``WIDTH`` pixels wide, the inner width of a card on a small
phone: there it is shown at about its own size, and its 12-pixel text stays readable.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal
from xml.etree import ElementTree

import altair as alt
import vl_convert
from markupsafe import Markup

from pipelines.report import figures
from pipelines.report.marks import Mark

WIDTH = 340
FONT_PIXELS = 12
BAND = 46
"""Height of one row in a chart of rows: a line of text above, the mark below."""
MOST_TICKS = 8
INK, MUTED, LINE, TRACK, CARD = (
    "var(--ink)",
    "var(--muted)",
    "var(--line)",
    "var(--track)",
    "var(--card)",
)
_SVG = "http://www.w3.org/2000/svg"
_VEGA_LITE = "v" + ".".join(alt.SCHEMA_VERSION.lstrip("v").split(".")[:2])


@dataclass(frozen=True)
class Key:
    """A line of a drawing in its legend; ``stroke`` is CSS's word for its dashes."""

    label: str
    colour: str
    stroke: Literal["solid", "dashed", "dotted"]


@dataclass(frozen=True)
class Figure:
    """One drawing, its text alternative and its numbers.

    Attributes:
        title: heading above the drawing.
        note: unit and reading aid, one short line.
        svg: the drawing; empty where there was nothing to draw.
        columns: heads of the table of figures.
        rows: its rows, already written out.
        keys: its lines by name, for a legend above it.
        marks: what stands against some of what is drawn, or kept it from being drawn.
    """

    title: str
    note: str
    svg: Markup
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    marks: tuple[Mark, ...] = ()
    keys: tuple[Key, ...] = ()

    def marks_of(self, key: Key) -> list[Mark]:
        """What stands against one line, for its place in the legend."""
        return [mark for mark in self.marks if mark.about == key.label]

    @property
    def marks_above(self) -> list[Mark]:
        """What concerns the whole drawing, or what is not drawn."""
        named = {key.label for key in self.keys}
        return [mark for mark in self.marks if mark.about not in named]


@dataclass(frozen=True)
class Bar:
    """One row of a bar chart: ``value`` None draws the track alone (a voided figure)."""

    label: str
    value: float | None
    text: str
    colour: str
    opacity: float = 1.0


def colour_of(framework: str | None) -> str:
    return f"var(--{framework})" if framework else MUTED


def log_ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 of every decade between, or the decades alone where those would crowd."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [digit * 10.0**decade for decade in decades for digit in (1, 2, 5)]
    inside = [tick for tick in ticks if low <= tick <= high]
    return (
        inside
        if len(inside) <= MOST_TICKS
        else [t for t in inside if round(math.log10(t), 6) % 1 == 0]
    )


def render(chart: alt.Chart | alt.LayerChart, height: int, title: str, description: str) -> Markup:
    """Draw it.

    Returns:
        an ``<svg>`` element without a size of its own, labelled for screen readers. Marks that were
        given a ``description`` carry it as ``data-tip``.
    """
    spec = chart.properties(
        width=WIDTH, height=height, autosize={"type": "fit", "contains": "padding"}
    ).configure(**_style())
    drawn = vl_convert.vegalite_to_svg(_printable(spec.to_dict(validate=False)), _VEGA_LITE)
    return _inline(drawn, title, description)


def _printable(spec: Any) -> Any:
    if isinstance(spec, dict):
        return {name: _printable(value) for name, value in spec.items()}
    if isinstance(spec, list):
        return [_printable(value) for value in spec]
    return figures.printable(spec) if isinstance(spec, str) else spec


def _style() -> dict[str, Any]:
    return {
        "background": "transparent",
        "font": "system-ui",
        "padding": 2,
        "view": alt.ViewConfig(stroke=None),
        "text": alt.MarkConfig(fontSize=FONT_PIXELS, color=INK),
        "axis": alt.AxisConfig(
            labelFontSize=FONT_PIXELS,
            titleFontSize=FONT_PIXELS,
            titleFontWeight="normal",
            labelColor=MUTED,
            titleColor=MUTED,
            gridColor=LINE,
            domain=False,
            ticks=False,
            labelPadding=6,
        ),
    }


def _inline(drawn: str, title: str, description: str) -> Markup:
    """Vega's SVG as part of a page: no fixed size, no font, one label instead of one for every mark."""
    ElementTree.register_namespace("", _SVG)
    root = ElementTree.fromstring(drawn)
    for name in ("width", "height", "version", "class"):
        root.attrib.pop(name, None)
    for element in root.iter():
        label = element.attrib.pop("aria-label", "")
        if element.attrib.get("role") == "graphics-symbol" and "-axis" not in element.get(
            "class", ""
        ):
            element.set("data-tip", label)
        for name in ("role", "aria-roledescription", "aria-hidden", "font-family"):
            element.attrib.pop(name, None)
    root.attrib.update({"role": "img", "aria-label": f"{title}. {description}"})
    return Markup(ElementTree.tostring(root, encoding="unicode"))


def bar_rows(bars: Sequence[Bar], title: str, description: str) -> Markup:
    """Horizontal bars from zero, each with its label and its figure written above it."""
    most = max((bar.value for bar in bars if bar.value), default=0.0) or 1.0
    data = alt.Data(
        values=[
            {"row": n, "end": most, "zero": 0, "value": bar.value or 0.0, "label": bar.label,
             "text": bar.text, "colour": bar.colour, "opacity": bar.opacity,
             "tip": f"{bar.label}: {bar.text}"}
            for n, bar in enumerate(bars)
        ]
    )  # fmt: skip
    across = alt.X("value:Q", axis=None, scale=alt.Scale(domain=[0, most], nice=False))
    base = alt.Chart(data).encode(y=rows_axis(len(bars)))
    track = base.mark_bar(size=10, cornerRadius=5, color=TRACK).encode(
        x=alt.X("end:Q", axis=None), x2="zero:Q", description="tip:N"
    )
    bar = base.mark_bar(size=10, cornerRadius=5).encode(
        x=across,
        x2="zero:Q",
        color=alt.Color("colour:N", scale=None),
        opacity=alt.Opacity("opacity:Q", scale=None),
        description="tip:N",
    )
    return render(track + bar + row_texts(base), BAND * len(bars), title, description)


def rows_axis(count: int) -> alt.Y:
    """Rows of ``BAND`` pixels, top to bottom, by the field ``row``."""
    return alt.Y("row:O", axis=None, scale=alt.Scale(domain=list(range(count)), paddingInner=0))


def row_texts(base: alt.Chart) -> alt.LayerChart:
    """The line above each mark: ``label`` to the left, ``text`` to the right."""
    left = base.mark_text(align="left", dy=-17, limit=240, aria=False).encode(
        x=alt.value(0), text="label:N"
    )
    right = base.mark_text(align="right", dy=-17, color=MUTED, aria=False).encode(
        x=alt.value("width"), text="text:N"
    )
    return alt.LayerChart(layer=[left, right])
