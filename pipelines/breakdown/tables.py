"""The parts, for the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from pipelines.breakdown.facts import (
    Batching,
    ColdStart,
    InProcess,
    Memory,
    Overhead,
    Part,
)

MIB = 2**20


def print_part(console: Console, part: Part) -> None:
    """What was found, with what must be known of it."""
    if part.quick:
        console.print("Quick: good for orders of magnitude, not for quoting.")
    if isinstance(part, InProcess):
        _print_in_process(console, part)
    elif isinstance(part, Overhead):
        _print_overhead(console, part)
    elif isinstance(part, Batching):
        for choice in part.choices:
            console.print(choice.reason, highlight=False, soft_wrap=True)
    elif isinstance(part, ColdStart):
        _print_cold_start(console, part)
    elif isinstance(part, Memory):
        _print_memory(console, part)


def _print_in_process(console: Console, part: InProcess) -> None:
    found = {(row.runner, row.threads, row.batch): row for row in part.timings}
    table = _table("in-process, p50 ms", *(f"batch {size}" for size in part.batches))
    for each in part.answers:
        name = f"{each.runner}, {each.threads} thread{'s' if each.threads > 1 else ''}"
        rows = [found.get((each.runner, each.threads, size)) for size in part.batches]
        table.add_row(name, *(f"{row.p50_ms:.3f}" if row else "wrong" for row in rows))
    console.print(table)
    for absent in part.absent:
        console.print(f"{absent.runner}: {absent.reason}", highlight=False, soft_wrap=True)


def _print_overhead(console: Console, part: Overhead) -> None:
    table = _table("p50 ms of a request", "served", "server", "protocol", "model", "rest")
    for row in part.rows:
        parts = (row.served_ms, row.server_ms, row.protocol_ms, row.model_ms, row.rest_ms)
        figures = ["wrong"] * len(parts) if row.wrong else [f"{each:.3f}" for each in parts]
        table.add_row(f"{row.server} · {row.protocol}", *figures)
    console.print(table)


def _print_cold_start(console: Console, part: ColdStart) -> None:
    how = "alone" if part.alone else "both at once"
    table = _table(f"cold start in s, {how}", "process", "model", "first answer", "in all")
    for row in part.rows:
        seconds = (row.process_seconds, row.load_seconds, row.first_answer_seconds)
        figures = ["n/a" if each is None else f"{each:.2f}" for each in seconds]
        table.add_row(row.server, *figures, f"{row.total_seconds:.2f}")
    console.print(table)


def _print_memory(console: Console, part: Memory) -> None:
    table = _table("memory in MiB", "idle", "peak", "after", "of requests")
    for row in part.rows:
        weights = (row.idle_bytes, row.peak_bytes, row.after_bytes)
        table.add_row(
            f"{row.server} ({row.kind})",
            *(f"{each / MIB:.0f}" for each in weights),
            f"{row.requests:,}",
        )
    console.print(table)
    for cpu in part.cpu:
        console.print(
            f"{cpu.server} · {cpu.protocol}: {cpu.cpu_seconds_per_1000:.2f} s of processor time per "
            "1,000 answers",
            highlight=False,
            soft_wrap=True,
        )


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column(columns[0])
    for column in columns[1:]:
        table.add_column(column, justify="right")
    return table
