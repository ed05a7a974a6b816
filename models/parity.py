"""The one comparison: a candidate's answers against a reference's."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from models.contract import Contract, Tensors
from models.errors import NameMismatch, NotFinite, ShapeMismatch


@dataclass(frozen=True)
class Tolerance:
    """How far a candidate may be from its reference.

    ``|candidate - reference| <= atol + rtol * |reference|`` must hold for every element, which is
    numpy's ``isclose``; then the share of rows with the same label and the loss of accuracy are held
    to their own bounds.

    Attributes:
        atol: absolute part, in the output's own unit; None compares labels and accuracy only.
        rtol: relative part.
        min_label_agreement: smallest share of rows with the same winning class, 0 to 1.
        max_accuracy_drop: largest loss of accuracy against the reference, 0 to 1.
    """

    atol: float | None
    rtol: float = 0.0
    min_label_agreement: float = 1.0
    max_accuracy_drop: float = 0.0


@dataclass(frozen=True)
class Parity:
    """How far two predictors are apart.

    Attributes:
        rows: how many rows were compared.
        max_abs: largest absolute difference over all outputs.
        max_rel: largest ``|difference| / max(|reference|, 1e-6)`` over all outputs.
        worst_output: the output in which the tolerance is exceeded most, or nearest to it.
        label_agreement: share of rows with the same winning class.
        accuracy: the candidate's accuracy; None where labels are not known.
        reference_accuracy: the reference's.
        tolerance: what the figures were held to.
        passed: whether all bounds hold.
    """

    rows: int
    max_abs: float
    max_rel: float
    worst_output: str
    label_agreement: float
    accuracy: float | None
    reference_accuracy: float | None
    tolerance: Tolerance
    passed: bool

    def to_json(self) -> dict[str, object]:
        return asdict(self)


def compare(
    contract: Contract,
    reference: Tensors,
    candidate: Tensors,
    tolerance: Tolerance,
    labels: np.ndarray | None = None,
) -> Parity:
    """Compare names, then shapes, then values.

    Args:
        contract: names the outputs and says which one holds the scores.
        reference: outputs of the model that is trusted, each (N, ...).
        candidate: outputs of the predictor under test.
        tolerance: the bounds.
        labels: int (N,), the true classes, or None.

    Raises:
        NameMismatch: the candidate lacks an output or has one too many.
        ShapeMismatch: an output's shape or kind of number differs.
        NotFinite: either side holds NaN or infinity.
    """
    _check_comparable(contract, reference, candidate)
    differences = {name: _difference(reference[name], candidate[name]) for name in reference}
    excess = {name: _excess(reference[name], candidate[name], tolerance) for name in reference}
    worst = max(excess, key=lambda name: excess[name])
    wanted, found = contract.predicted_labels(reference), contract.predicted_labels(candidate)
    agreement = float(np.mean(wanted == found))
    accuracy = None if labels is None else float(np.mean(found == labels))
    reference_accuracy = None if labels is None else float(np.mean(wanted == labels))
    dropped = 0.0 if labels is None else (reference_accuracy or 0.0) - (accuracy or 0.0)
    return Parity(
        rows=len(wanted),
        max_abs=max(absolute for absolute, _ in differences.values()),
        max_rel=max(relative for _, relative in differences.values()),
        worst_output=worst,
        label_agreement=agreement,
        accuracy=accuracy,
        reference_accuracy=reference_accuracy,
        tolerance=tolerance,
        passed=excess[worst] <= 0
        and agreement >= tolerance.min_label_agreement
        and dropped <= tolerance.max_accuracy_drop,
    )


def _check_comparable(contract: Contract, reference: Tensors, candidate: Tensors) -> None:
    if set(candidate) != set(contract.output_names):
        raise NameMismatch(
            f"The outputs are named {sorted(candidate)}; the contract says "
            f"{sorted(contract.output_names)}."
        )
    for name, wanted in reference.items():
        found = candidate[name]
        if found.shape != wanted.shape or found.dtype.kind != wanted.dtype.kind:
            raise ShapeMismatch(
                f"{name} is {found.dtype}{found.shape}; the reference is {wanted.dtype}{wanted.shape}."
            )
        if not (np.isfinite(found).all() and np.isfinite(wanted).all()):
            raise NotFinite(f"{name} holds NaN or infinity.")


def _difference(reference: np.ndarray, candidate: np.ndarray) -> tuple[float, float]:
    gap = np.abs(candidate.astype(np.float64) - reference.astype(np.float64))
    scale = np.maximum(np.abs(reference.astype(np.float64)), 1e-6)
    return float(gap.max(initial=0.0)), float((gap / scale).max(initial=0.0))


def _excess(reference: np.ndarray, candidate: np.ndarray, tolerance: Tolerance) -> float:
    """How far the worst element is beyond its bound; zero or less means all are within."""
    if tolerance.atol is None:
        return -np.inf
    gap = np.abs(candidate.astype(np.float64) - reference.astype(np.float64))
    bound = tolerance.atol + tolerance.rtol * np.abs(reference.astype(np.float64))
    return float((gap - bound).max(initial=-np.inf))
