"""The tables with two axes: parity, malformed requests, confusion."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from models.framework import FrameworkName
from pipelines.facts import (
    MalformedFacts,
    Outcome,
    ParityRow,
    Protocol,
    RunReport,
    TrainingFacts,
)
from pipelines.report import figures
from pipelines.report.sides import server_label

BATCHES = ("1", "7", "all", "edge")
STAGES = {
    "verify": "Exported files",
    "check": "Served endpoints",
    "cross-framework": "One framework against the other",
}


@dataclass(frozen=True)
class Cell:
    """One cell: what is shown, how it ended, and what is said when it is asked."""

    text: str
    outcome: Outcome
    tip: str


@dataclass(frozen=True)
class ParityLine:
    """One candidate against one reference; ``cells`` in the order of the matrix's batches."""

    subject: str
    reference: str
    cells: tuple[Cell | None, ...]
    tolerance: str
    accuracy: str
    agreement: str


@dataclass(frozen=True)
class ParityMatrix:
    batches: tuple[str, ...]
    groups: tuple[tuple[str, tuple[ParityLine, ...]], ...]


@dataclass(frozen=True)
class MalformedMatrix:
    """Request kinds down, endpoints across."""

    endpoints: tuple[tuple[str, Protocol], ...]
    rows: tuple[tuple[str, tuple[Cell | None, ...]], ...]


@dataclass(frozen=True)
class Confusion:
    """``rows``: true class, then one ``(count, share of the row, is the diagonal)`` a predicted class."""

    framework: FrameworkName
    label: str
    accuracy: str
    labels: tuple[str, ...]
    rows: tuple[tuple[str, tuple[tuple[int, float, bool], ...]], ...]


def same_model(report: RunReport) -> list[ParityRow]:
    """The proofs that both networks are one model."""
    return [row for row in report.parity if row.stage == "same model"]


def parity_matrix(report: RunReport) -> ParityMatrix:
    rows = [row for row in report.parity if row.stage in STAGES]
    found = dict.fromkeys(row.batch for row in rows)
    batches = (*(b for b in BATCHES if b in found), *(b for b in found if b not in BATCHES))
    groups = ((title, _lines(rows, stage, batches)) for stage, title in STAGES.items())
    return ParityMatrix(batches, tuple((title, lines) for title, lines in groups if lines))


def _lines(rows: list[ParityRow], stage: str, batches: tuple[str, ...]) -> tuple[ParityLine, ...]:
    of_stage = [row for row in rows if row.stage == stage]
    keys = dict.fromkeys((row.subject, row.reference) for row in of_stage)
    return tuple(
        _line([row for row in of_stage if (row.subject, row.reference) == key], batches)
        for key in keys
    )


def _line(rows: list[ParityRow], batches: tuple[str, ...]) -> ParityLine:
    by_batch = {row.batch: row for row in rows}
    compared = [row for row in rows if not row.error]
    accurate = [row.accuracy for row in compared if row.accuracy is not None]
    return ParityLine(
        subject=rows[0].subject,
        reference=rows[0].reference,
        cells=tuple(_parity_cell(by_batch.get(batch)) for batch in batches),
        tolerance=" or ".join(dict.fromkeys(tolerance(row) for row in rows)),
        accuracy=figures.percent(min(accurate)) if accurate else figures.UNKNOWN,
        agreement=figures.percent(min((row.label_agreement for row in compared), default=None)),
    )


def tolerance(row: ParityRow) -> str:
    """``1e-5 + 1e-4 × |ref|``, as in ``models.parity``; ``same label 97 %`` where not all must be."""
    labels = f"same label {figures.percent(row.min_label_agreement)}"
    if row.atol is None:
        return labels
    relative = f" + {figures.difference(row.rtol)}\u202f×\u202f|ref|" if row.rtol else ""
    bound = f"{figures.difference(row.atol)}{relative}"
    return bound if row.min_label_agreement == 1 else f"{bound}, {labels}"


def _parity_cell(row: ParityRow | None) -> Cell | None:
    if row is None:
        return None
    said = (
        f"{row.subject}, batch {row.batch}: max abs {figures.difference(row.max_abs)}, "
        f"max rel {figures.difference(row.max_rel)}, "
        f"same label {figures.percent(row.label_agreement)} of {figures.count(row.rows, 'row')}, "
        f"allowed {tolerance(row)}"
    )
    tip = f"{row.subject}, batch {row.batch}: {row.error}" if row.error else said
    text = row.error.split(":")[0] if row.error else figures.difference(row.max_abs)
    return Cell(text, Outcome.PASS if row.passed else Outcome.FAIL, tip)


def malformed_matrix(report: RunReport) -> MalformedMatrix:
    endpoints = tuple(dict.fromkeys((row.server, row.protocol) for row in report.malformed))
    found = {(row.request, row.server, row.protocol): row for row in report.malformed}
    requests = dict.fromkeys(row.request for row in report.malformed)
    return MalformedMatrix(
        tuple((server_label(report, server), protocol) for server, protocol in endpoints),
        tuple(
            (request, tuple(_malformed_cell(found.get((request, *point))) for point in endpoints))
            for request in requests
        ),
    )


def _malformed_cell(row: MalformedFacts | None) -> Cell | None:
    if row is None:
        return None
    after = (
        "the next good request was answered" if row.recovered else "the next good request FAILED"
    )
    return Cell(row.status, row.outcome, f"“{row.message}”; {after}")


def confusions(report: RunReport) -> list[Confusion]:
    return [_confusion(facts, report.labels) for facts in report.training if facts.confusion]


def _confusion(facts: TrainingFacts, labels: list[str]) -> Confusion:
    size = len(facts.confusion)
    names = tuple(labels if len(labels) == size else map(str, range(size)))
    return Confusion(
        facts.framework,
        facts.label,
        figures.percent(facts.test_accuracy),
        names,
        tuple(
            (name, tuple(_shares(row, number)))
            for number, (name, row) in enumerate(zip(names, facts.confusion, strict=True))
        ),
    )


def _shares(row: list[int], diagonal: int) -> Iterable[tuple[int, float, bool]]:
    total = sum(row) or 1
    return ((count, count / total, place == diagonal) for place, count in enumerate(row))
