"""The charts of the report. Blue is TensorFlow, orange is PyTorch, everywhere."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import altair as alt

from pipelines.facts import Epoch, LatencyFacts, Protocol, RunReport, ThroughputFacts
from pipelines.report import figures
from pipelines.report.drawing import (
    BAND,
    CARD,
    INK,
    MUTED,
    TRACK,
    Bar,
    Figure,
    bar_rows,
    colour_of,
    render,
    row_texts,
    rows_axis,
)
from pipelines.report.sides import FRAMEWORKS, framework_of, server_label, voided

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
    return line + target


def _linear_axis() -> alt.Y:
    scale = alt.Scale(zero=False, nice=True)
    return alt.Y("value:Q", title=None, scale=scale, axis=alt.Axis(tickCount=5))


def _log_axis(values: Sequence[float]) -> alt.Y:
    """Ticks at 1, 2 and 5 of every decade, or at the decades alone where those would crowd."""
    low, high = min(values) / 1.2, max(values) * 1.2
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [digit * 10.0**decade for decade in decades for digit in (1, 2, 5)]
    inside = [tick for tick in ticks if low <= tick <= high]
    if len(inside) > 6:
        inside = [10.0**decade for decade in decades if low <= 10.0**decade <= high]
    scale = alt.Scale(type="log", domain=[low, high], nice=False)
    return alt.Y("value:Q", title=None, scale=scale, axis=alt.Axis(values=inside, format="~g"))


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


def speed_charts(report: RunReport) -> list[Figure]:
    """Latency, then throughput; nothing where nothing was measured."""
    latency = [latency_chart(report)] if report.latency else []
    return latency + throughput_charts(report)


def latency_chart(report: RunReport) -> Figure:
    """One row for each endpoint: a dot at p50, a ring at p90, a tick at p99."""
    rows = [_latency_row(report, n, facts) for n, facts in enumerate(report.latency)]
    title, note = "Latency", "one client, ms: ● p50  ○ p90  ❘ p99"
    columns = ("Endpoint", "p50 ms", "p90 ms", "p99 ms", "Requests")
    table = tuple(_latency_cells(report, facts) for facts in report.latency)
    said = ". ".join(row["tip"] for row in rows)
    return Figure(
        title, note, render(_spans(rows), BAND * len(rows) + 34, title, said), columns, table
    )


def _latency_row(report: RunReport, number: int, facts: LatencyFacts) -> dict[str, Any]:
    row: dict[str, Any] = {
        "row": number,
        "label": _endpoint(report, facts),
        "colour": colour_of(framework_of(report, facts.server)),
        "text": figures.VOIDED,
        "tip": f"{_endpoint(report, facts)}: {voided(facts)}",
    }
    if facts.wrong or not figures.is_known(facts.p99_ms):
        return row
    numbers = {"p50": facts.p50_ms, "p90": facts.p90_ms, "p99": facts.p99_ms}
    said = ", ".join(f"{name} {figures.milliseconds(value)}" for name, value in numbers.items())
    tip = f"{row['label']}: {said}"
    return {**row, **numbers, "text": f"p50 {figures.milliseconds(facts.p50_ms)}", "tip": tip}


def _latency_cells(report: RunReport, facts: LatencyFacts) -> tuple[str, ...]:
    numbers = (facts.p50_ms, facts.p90_ms, facts.p99_ms)
    written = (
        (figures.VOIDED,) * 3 if facts.wrong else tuple(map(figures.bare_milliseconds, numbers))
    )
    answered = f"{facts.requests:,}" + (f", {facts.wrong:,} wrong" if facts.wrong else "")
    return (_endpoint(report, facts), *written, answered)


def _spans(rows: list[dict[str, Any]]) -> alt.LayerChart:
    most = max((row["p99"] for row in rows if "p99" in row), default=1.0) * 1.04
    across = alt.Scale(domain=[0, most], nice=False)
    everything = alt.Chart(
        alt.Data(values=[{**row, "zero": 0, "end": most} for row in rows])
    ).encode(y=rows_axis(len(rows)))
    axis = alt.Axis(orient="bottom", tickCount=4, title="ms", grid=False)
    track = everything.mark_rule(strokeWidth=2, color=TRACK, aria=False).encode(
        x=alt.X("zero:Q", scale=across, axis=axis), x2="end:Q"
    )
    base = alt.Chart(alt.Data(values=[row for row in rows if "p99" in row])).encode(
        y=rows_axis(len(rows)),
        color=alt.Color("colour:N", scale=None),
        description="tip:N",
    )
    span = base.mark_rule(strokeWidth=8, strokeCap="round", opacity=0.3).encode(
        x="p50:Q", x2="p99:Q"
    )
    tick = base.mark_tick(thickness=3, size=14).encode(x="p99:Q")
    ring = base.mark_point(size=70, fill=CARD, strokeWidth=2.5).encode(x="p90:Q")
    dot = base.mark_point(size=90, filled=True, opacity=1).encode(x="p50:Q")
    return track + span + tick + ring + dot + row_texts(everything)


def throughput_charts(report: RunReport) -> list[Figure]:
    """One chart for each protocol, on one scale, so that they can be compared with each other."""
    good = [facts.requests_per_second for facts in report.throughput if not facts.wrong]
    most = max((value for value in good if figures.is_known(value)), default=0.0) or 1.0
    protocols = dict.fromkeys(facts.protocol for facts in report.throughput)
    return [_throughput(report, protocol, most) for protocol in protocols]


def _throughput(report: RunReport, protocol: Protocol, most: float) -> Figure:
    measured = [facts for facts in report.throughput if facts.protocol == protocol]
    bars = [_throughput_bar(report, facts) for facts in measured]
    title = f"Throughput, {protocol}"
    said = ". ".join(str(bar["tip"]) for bar in bars)
    table = tuple(
        (
            server_label(report, facts.server),
            str(facts.clients),
            figures.VOIDED if facts.wrong else figures.rate(facts.requests_per_second),
            f"{facts.requests:,}" + (f", {facts.wrong:,} wrong" if facts.wrong else ""),
        )
        for facts in measured
    )
    return Figure(
        title,
        "correct answers a second, by number of clients",
        render(_grouped(bars, most), 218, title, said),
        ("Server", "Clients", "Requests/s", "Requests"),
        table,
    )


def _throughput_bar(report: RunReport, facts: ThroughputFacts) -> dict[str, Any]:
    server = server_label(report, facts.server)
    known = not facts.wrong and figures.is_known(facts.requests_per_second)
    written = figures.rate(facts.requests_per_second) if known else "void"
    clients = figures.count(facts.clients, "client")
    said = f"{written} requests/s" if known else voided(facts)
    return {
        "clients": facts.clients,
        "server": server,
        "value": facts.requests_per_second if known else 0.0,
        "text": written,
        "colour": colour_of(framework_of(report, facts.server)),
        "tip": f"{server}, {clients}: {said}",
    }


def _grouped(bars: list[dict[str, Any]], most: float) -> alt.LayerChart:
    servers = list(dict.fromkeys(bar["server"] for bar in bars))
    base = alt.Chart(alt.Data(values=bars)).encode(
        x=alt.X(
            "clients:O",
            title="clients",
            axis=alt.Axis(labelAngle=0),
            scale=alt.Scale(paddingInner=0.18, paddingOuter=0.06),
        ),
        xOffset=alt.XOffset("server:N", sort=servers, scale=alt.Scale(domain=servers)),
        y=alt.Y(
            "value:Q",
            title=None,
            scale=alt.Scale(domain=[0, most * 1.08], nice=True),
            axis=alt.Axis(tickCount=4, format="~s"),
        ),
        description="tip:N",
    )
    bar = base.mark_bar(cornerRadiusTopLeft=3, cornerRadiusTopRight=3).encode(
        color=alt.Color("colour:N", scale=None)
    )
    text = base.mark_text(dy=-8, color=INK, aria=False).encode(text="text:N")
    return bar + text


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


def _endpoint(report: RunReport, facts: LatencyFacts) -> str:
    return f"{server_label(report, facts.server)} · {facts.protocol}"
