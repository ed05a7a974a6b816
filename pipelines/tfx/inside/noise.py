"""How much worse a candidate may look on a slice by chance alone: both models answered the same rows."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.stats import rankdata

from pipelines.tfx.inside.bootstrap import SMALLEST
from pipelines.tfx.inside.predictions import IN_SERVICE, Predictions, Slice

ERRORS = 3.1
"""Standard errors: one in a thousand, for one evaluation makes about 200 comparisons."""
FEWEST_OF_A_LABEL = 10
"""Rows of each label below which nothing is said of a slice: a standard error of so few is noise itself."""

Slack = Mapping[Slice, Mapping[str, float]]
"""By slice and metric, what a limit of change is widened by; a metric that cannot be compared is not there."""


def slack_of(
    predictions: Predictions, masks: Mapping[Slice, np.ndarray], framework: str
) -> dict[Slice, dict[str, float]]:
    """For every slice; empty without a model in service."""
    scores, served = (predictions.scores.get(framework + role) for role in ("", IN_SERVICE))
    if scores is None or served is None:
        return {}
    found = {}
    for where, mask in masks.items():
        label = predictions.label[mask]
        if min(label.sum(), (1 - label).sum()) >= FEWEST_OF_A_LABEL:
            errors = paired_errors(label, scores[mask], served[mask])
            found[where] = {name: ERRORS * error for name, error in errors.items()}
    return found


def paired_errors(label: np.ndarray, one: np.ndarray, other: np.ndarray) -> dict[str, float]:
    """Standard errors of the difference of two models' metrics on the same rows.

    Args:
        label: 0 or 1, float (N,), at least two of each.
        one: probabilities of one model, float (N,).
        other: of the other.

    Returns:
        ``roc_auc``, by DeLong, DeLong and Clarke-Pearson 1988; ``log_loss``, nats a row.
    """
    above, below = (a - b for a, b in zip(_places(label, one), _places(label, other), strict=True))
    loss = _losses(label, one) - _losses(label, other)
    return {
        "roc_auc": float(np.sqrt(above.var(ddof=1) / len(above) + below.var(ddof=1) / len(below))),
        "log_loss": float(loss.std(ddof=1) / np.sqrt(len(loss))),
    }


def _places(label: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each positive row the share of negative ones below it, for each negative one that of positive ones above
    it; equal ones count half. The mean of either is ROC AUC."""
    positive, negative = scores[label == 1], scores[label == 0]
    ranks = rankdata(np.concatenate([positive, negative]))
    above = (ranks[: len(positive)] - rankdata(positive)) / len(negative)
    below = 1 - (ranks[len(positive) :] - rankdata(negative)) / len(positive)
    return above, below


def _losses(label: np.ndarray, scores: np.ndarray) -> np.ndarray:
    inside = np.clip(scores, SMALLEST, 1 - SMALLEST)
    losses: np.ndarray = -(label * np.log(inside) + (1 - label) * np.log1p(-inside))
    return losses
