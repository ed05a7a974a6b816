"""What the breakdown is held to: no figure of a wrong answer, and no silent growth."""

from __future__ import annotations

from collections.abc import Iterator

from pipelines.breakdown.facts import Breakdown, InProcess, MemoryRow
from pipelines.facts import Check, Outcome


def judge_breakdown(found: Breakdown) -> list[Check]:
    """A check for every runner, and for every server under load."""
    return [*_in_process(found.in_process), *_under_load(found), *_memory(found)]


def _in_process(found: InProcess | None) -> Iterator[Check]:
    for each in found.answers if found else ():
        yield Check(
            stage="measure",
            subject=f"{each.runner} in-process, {each.threads} thread{'s' if each.threads > 1 else ''}",
            question="It answers as the model in memory before it is timed",
            outcome=Outcome.PASS if each.right else Outcome.FAIL,
            figure="no answer" if each.max_abs is None else f"{each.max_abs:.1e} apart",
            limit="the tolerance of its format",
            detail=each.detail,
        )


def _under_load(found: Breakdown) -> Iterator[Check]:
    seen = [
        ("overhead", f"{row.server} · {row.protocol}", row.wrong, 2 * row.requests)
        for row in (found.overhead.rows if found.overhead else ())
    ]
    seen += [
        ("memory", row.server, row.wrong, row.requests)
        for row in (found.memory.rows if found.memory else ())
    ]
    if found.batching:
        for server in dict.fromkeys(point.server for point in found.batching.points):
            mine = [point for point in found.batching.points if point.server == server]
            wrong, asked = sum(each.wrong for each in mine), sum(each.requests for each in mine)
            seen.append(("batching", server, wrong, asked))
    for part, subject, wrong, asked in seen:
        yield Check(
            stage="measure",
            subject=f"{subject}, {part}",
            question="Every answer under load is right",
            outcome=Outcome.FAIL if wrong else Outcome.PASS,
            figure=f"{wrong:,} wrong of {asked:,}",
            limit="0 wrong",
        )


def _memory(found: Breakdown) -> Iterator[Check]:
    for row in found.memory.rows if found.memory and not found.memory.quick else ():
        yield Check(
            stage="measure",
            subject=f"{row.server}, memory",
            question="Its memory stops growing",
            outcome=Outcome.WARNING if row.growing else Outcome.PASS,
            figure=_growth(row),
            limit="no trend of more than 1 % over the second half (Kendall's tau, p < 0.01)",
        )


def _growth(row: MemoryRow) -> str:
    return (
        f"{row.growth_bytes_per_1000 / 1024:+.1f} KiB per 1,000 requests over the second half of "
        f"{row.requests:,}"
    )
