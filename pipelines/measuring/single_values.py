"""Figures of a report that are one value a run: they have no windows, so nobody knows their noise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pipelines.facts import RunReport

MIB = 2**20
Title = tuple[str, str]
"""Server and what is meant; quantity with its unit."""


@dataclass(frozen=True)
class SingleValue:
    """One value of a run.

    Attributes:
        value: in the unit of its title.
        higher_is_better: else lower.
        note: what else must be known.
    """

    value: float
    higher_is_better: bool = False
    note: str = ""


def single_values(report: RunReport) -> dict[Title, SingleValue]:
    """Memory, start, processor time, knees, cold start and leaks, as far as the report has them.

    How it was measured is part of a title (quick or full, PSS or RSS), so that only like meets like.
    """
    return dict(
        [*_of_servers(report), *_of_knees(report), *_of_memory(report), *_of_cold_start(report)]
    )


def _of_servers(report: RunReport) -> Iterator[tuple[Title, SingleValue]]:
    for server in report.servers:
        yield (f"{server.name}, start", "s"), SingleValue(server.ready_seconds)
        if server.cpu_ms_per_answer is not None:
            yield (f"{server.name}, cpu/answer", "ms"), SingleValue(server.cpu_ms_per_answer)
        for word, weight in (("idle", server.idle_bytes), ("loaded", server.loaded_bytes)):
            if weight is not None:
                title = f"{server.name}, {word} {server.memory_kind}".rstrip()
                yield (title, "MiB"), SingleValue(weight / MIB)


def _of_knees(report: RunReport) -> Iterator[tuple[Title, SingleValue]]:
    names = _names(report)
    for knee in report.load.knees if report.load else ():
        title = f"{names.get(knee.server, knee.server)} · {knee.protocol}, knee"
        note = "0: below the sweep" if knee.per_second is None else ""
        yield (title, "req/s"), SingleValue(knee.per_second or 0.0, True, note)


def _of_memory(report: RunReport) -> Iterator[tuple[Title, SingleValue]]:
    part, names = report.breakdown.memory, _names(report)
    if not part:
        return
    how = "quick " if part.quick else ""
    for row in part.rows:
        name = names.get(row.server, row.server)
        yield (f"{name}, {how}peak {row.kind}", "MiB"), SingleValue(row.peak_bytes / MIB)
        yield (f"{name}, {how}after {row.kind}", "MiB"), SingleValue(row.after_bytes / MIB)
        yield (f"{name}, {how}leak", "1: yes"), SingleValue(float(row.growing))
    for cpu in part.cpu:
        title = f"{names.get(cpu.server, cpu.server)} · {cpu.protocol}, {how}cpu/1,000"
        yield (title, "s"), SingleValue(cpu.cpu_seconds_per_1000)


def _of_cold_start(report: RunReport) -> Iterator[tuple[Title, SingleValue]]:
    part, names = report.breakdown.cold_start, _names(report)
    if part:
        how = ("quick " if part.quick else "") + ("cold start" if part.alone else "both start")
        for row in part.rows:
            title = f"{names.get(row.server, row.server)}, {how}"
            yield (title, "s"), SingleValue(row.total_seconds)


def _names(report: RunReport) -> dict[str, str]:
    return {server.label: server.name for server in report.servers}
