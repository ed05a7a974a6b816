"""The charts of latency and throughput; a voided figure is never drawn."""

from __future__ import annotations

from typing import Any

import altair as alt

from pipelines.facts import LatencyFacts, Protocol, RunReport, ThroughputFacts
from pipelines.report import figures
from pipelines.report.drawing import (
    BAND,
    CARD,
    INK,
    TRACK,
    Figure,
    colour_of,
    render,
    row_texts,
    rows_axis,
)
from pipelines.report.sides import framework_of, server_label, voided


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
    return alt.LayerChart(layer=[track, span, tick, ring, dot, row_texts(everything)])


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
            stack=None,  # or Vega clips every bar by an id that other charts of the page use too
            scale=alt.Scale(domain=[0, most * 1.08], nice=True),
            axis=alt.Axis(tickCount=4, format="~s"),
        ),
        description="tip:N",
    )
    bar = base.mark_bar(cornerRadiusTopLeft=3, cornerRadiusTopRight=3).encode(
        color=alt.Color("colour:N", scale=None)
    )
    text = base.mark_text(dy=-8, color=INK, aria=False).encode(text="text:N")
    return alt.LayerChart(layer=[bar, text])


def _endpoint(report: RunReport, facts: LatencyFacts) -> str:
    return f"{server_label(report, facts.server)} · {facts.protocol}"
