"""What a run prints: a line per server, protocol and batch size; then what could not be measured."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby

from rich.console import Console
from rich.table import Table

from benchmarks.server.contestants import BY_NAME
from benchmarks.server.results import Key, Measured, Results
from benchmarks.server.subject import SUBJECTS

LONGEST = 400
"""Of a failure in print; the whole of it, with the end of the server's log, is in the JSON."""


def print_results(results: Results, out: Console) -> None:
    """The table, the figures that are void, and the servers that failed."""
    table = results.measured()
    clients = sorted({key.clients for key in table})
    out.print(_make_table(results, table, clients))
    out.print(
        "A cell: requests a second, p50 / p99 in ms. CPU: seconds of the server's processes per 1,000 "
        "requests at the most clients. Memory after the load. Ready: first right answer after the start. "
        "* the load client was the limit. – too few answers for a p99.",
        style="dim",
    )
    for key, measured in table.items():
        if measured.void:
            out.print(f"[red]Void:[/] {key.server}, {key}: ", end="")
            out.print(measured.void, markup=False, highlight=False)
    for server, why in results.failures.items():
        out.print(f"[red]Not measured:[/] {server}: ", end="")
        out.print(why.partition("\n")[0][:LONGEST], markup=False, highlight=False)


def _make_table(results: Results, found: Mapping[Key, Measured], clients: list[int]) -> Table:
    table = Table(title="The same model behind each server", title_justify="left")
    for name in ("Model", "Protocol", "Rows", "Server", "Batching"):
        table.add_column(name, no_wrap=True)
    for count in clients:
        table.add_column(f"{count} clients", justify="right", no_wrap=True)
    for name in ("CPU", "MB", "Ready s"):
        table.add_column(name, justify="right", no_wrap=True)
    order = sorted(found, key=_place)
    for line, keys in groupby(order, key=_line):
        subject, protocol, batch, batching, server = line
        cells = {key.clients: found[key] for key in keys}
        start = results.start_of(server, subject, batching)
        most = cells[max(cells)]
        table.add_row(
            subject,
            protocol,
            str(batch),
            BY_NAME[server].label,
            "on" if batching else "off",
            *(_cell(cells.get(count)) for count in clients),
            "–" if most.cpu_seconds_per_1000 is None else f"{most.cpu_seconds_per_1000:.2f}",
            f"{start.memory_bytes / 1e6:.0f}" if start else "–",
            f"{start.ready_seconds:.1f}" if start else "–",
        )
    return table


def _line(key: Key) -> tuple[str, str, int, bool, str]:
    return (key.subject, key.protocol, key.batch, key.batching, key.server)


def _place(key: Key) -> tuple[int, str, int, bool, int, int]:
    """Ours first, and the others in the order in which they are listed."""
    subject, server = SUBJECTS.index(key.subject), list(BY_NAME).index(key.server)
    return (subject, key.protocol, key.batch, key.batching, server, key.clients)


def _cell(measured: Measured | None) -> str:
    if measured is None:
        return "–"
    if measured.rate is None or measured.p50_ms is None:
        return "void"
    mark = "*" if measured.client_bound else ""
    p99 = "–" if measured.p99_ms is None else f"{measured.p99_ms:.1f}"
    return f"{measured.rate:,.0f}{mark}  {measured.p50_ms:.1f} / {p99}"
