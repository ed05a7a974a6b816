"""How good the probabilities of a two-class model are: ranking, sharpness, calibration."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.metrics import average_precision_score, log_loss, roc_auc_score

from models.errors import CaseError

BINS = 10


@dataclass(frozen=True)
class ReliabilityBin:
    """A tenth of the rows, by probability: what was foretold on average, and how often it came true."""

    predicted: float
    observed: float
    rows: int


@dataclass(frozen=True)
class Scores:
    """One model's probabilities of the positive class against what happened.

    Attributes:
        roc_auc: probability that a random positive row is ranked above a random negative one, 0 to 1.
        pr_auc: average precision, 0 to 1; the share of positive rows is what chance gets.
        log_loss: mean cross-entropy, nats a row.
        calibration_error: expected calibration error over ``reliability``: mean of \\|predicted - observed\\|,
            weighted by rows, 0 to 1 (Naeini et al. 2015; bins of equal rows, for few rows lie near 1).
        reliability: lowest probability first.
        rows: how many were scored.
        positives: how many of them are positive.
    """

    roc_auc: float
    pr_auc: float
    log_loss: float
    calibration_error: float
    reliability: tuple[ReliabilityBin, ...]
    rows: int
    positives: int


def score_probabilities(probabilities: np.ndarray, positive: np.ndarray) -> Scores:
    """Score probabilities of the positive class.

    Args:
        probabilities: float (N,), 0 to 1.
        positive: bool (N,), whether the row is of that class.

    Raises:
        CaseError: all rows are of one class, so that nothing can be ranked.
    """
    if positive.all() or not positive.any():
        raise CaseError(
            f"All {len(positive)} rows of the test split are of one class.",
            "Take a larger sample.",
        )
    probabilities = probabilities.astype(np.float64)
    bins = _reliability(probabilities, positive)
    gaps = sum(abs(each.predicted - each.observed) * each.rows for each in bins)
    return Scores(
        roc_auc=float(roc_auc_score(positive, probabilities)),
        pr_auc=float(average_precision_score(positive, probabilities)),
        log_loss=float(log_loss(positive, probabilities)),
        calibration_error=gaps / len(positive),
        reliability=bins,
        rows=len(positive),
        positives=int(positive.sum()),
    )


def _reliability(probabilities: np.ndarray, positive: np.ndarray) -> tuple[ReliabilityBin, ...]:
    order = np.argsort(probabilities, kind="stable")
    return tuple(
        ReliabilityBin(float(probabilities[rows].mean()), float(positive[rows].mean()), len(rows))
        for rows in np.array_split(order, BINS)
        if len(rows)
    )
