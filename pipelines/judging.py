"""How a comparison becomes a row and a check of the report."""

from __future__ import annotations

from models.errors import ParityError
from models.parity import Parity, Tolerance
from pipelines.facts import Check, Outcome, ParityRow


def parity_row(stage: str, subject: str, reference: str, batch: str, parity: Parity) -> ParityRow:
    """A row of the parity matrix."""
    return ParityRow(
        stage=stage,
        subject=subject,
        reference=reference,
        batch=batch,
        rows=parity.rows,
        max_abs=parity.max_abs,
        max_rel=parity.max_rel,
        label_agreement=parity.label_agreement,
        accuracy=parity.accuracy,
        reference_accuracy=parity.reference_accuracy,
        atol=parity.tolerance.atol,
        rtol=parity.tolerance.rtol,
        min_label_agreement=parity.tolerance.min_label_agreement,
        max_accuracy_drop=parity.tolerance.max_accuracy_drop,
        passed=parity.passed,
    )


def parity_check(row: ParityRow, question: str) -> Check:
    """The yes-or-no question behind a row."""
    figure = f"largest difference {row.max_abs:.1e}, same label {row.label_agreement:.2%}"
    if row.accuracy is not None:
        figure += f", accuracy {row.accuracy:.4f}"
    return Check(
        stage=row.stage,
        subject=row.subject,
        question=question,
        outcome=Outcome.PASS if row.passed else Outcome.FAIL,
        figure=figure,
        limit=_limit(row),
        detail=row.error,
    )


def _limit(row: ParityRow) -> str:
    bounds = []
    if row.atol is not None:
        bounds.append(f"≤ {row.atol:g}" + (f" + {row.rtol:g} × |reference|" if row.rtol else ""))
    bounds.append(f"same label ≥ {row.min_label_agreement:.0%}")
    if row.accuracy is not None:
        bounds.append(f"accuracy lost ≤ {row.max_accuracy_drop:.2f}")
    return ", ".join(bounds)


def failed_row(
    stage: str, subject: str, reference: str, batch: str, tolerance: Tolerance, error: str
) -> ParityRow:
    """A row for a comparison that could not be made; its figures are NaN-free zeros and it never passes."""
    return ParityRow(
        stage=stage,
        subject=subject,
        reference=reference,
        batch=batch,
        rows=0,
        max_abs=0.0,
        max_rel=0.0,
        label_agreement=0.0,
        accuracy=None,
        reference_accuracy=None,
        atol=tolerance.atol,
        rtol=tolerance.rtol,
        min_label_agreement=tolerance.min_label_agreement,
        max_accuracy_drop=tolerance.max_accuracy_drop,
        passed=False,
        error=error,
    )


def named(error: Exception) -> str:
    """``NameMismatch: The outputs are ...``"""
    message = error.message if isinstance(error, ParityError) else str(error)
    return f"{type(error).__name__}: {message}"
