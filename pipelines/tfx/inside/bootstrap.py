"""Confidence intervals by bootstrap, in numpy: TFMA's own repeats its whole pass twenty times."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

REPLICATES = 200
CONFIDENCE = 0.95
SMALLEST = 1e-7
"""Probabilities are kept away from 0 and 1, as TFMA's log loss does."""

Metrics = dict[str, float]


def intervals(
    label: np.ndarray, scores: np.ndarray, seed: int, replicates: int = REPLICATES
) -> dict[str, list[float]]:
    """95 % intervals by metric, by the Poisson bootstrap over rows (Chamandy et al. 2012).

    Args:
        label: 0 or 1, float (N,).
        scores: probabilities, float (N,).
        seed: for the weights; the same seed gives the same intervals.
        replicates: how often rows are drawn anew.

    Returns:
        lower and upper bound by the names of :func:`metrics_of`; empty for rows of one label only.
    """
    if label.min() == label.max():
        return {}
    random = np.random.default_rng(seed)
    order = np.argsort(scores, kind="stable")
    label, scores = label[order], scores[order]
    drawn = [
        metrics_of(label, scores, random.poisson(1.0, len(label)).astype(np.float64))
        for _ in range(replicates)
    ]
    tail = 50 * (1 - CONFIDENCE)
    return {
        name: [
            float(each) for each in np.nanpercentile([d[name] for d in drawn], [tail, 100 - tail])
        ]
        for name in drawn[0]
    }


def metrics_of(label: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> Mapping[str, float]:
    """ROC AUC, PR AUC, log loss and calibration of weighted rows in ascending order of their scores.

    PR AUC is average precision; calibration is the mean probability by the share of positive rows.
    """
    positive, negative = weights * label, weights * (1 - label)
    above, below = positive.sum(), negative.sum()
    if not above or not below:
        return dict.fromkeys(("roc_auc", "pr_auc", "log_loss", "calibration"), float("nan"))
    # Equal scores share a step of the curve.
    ends = np.flatnonzero(np.append(np.diff(scores) != 0, True))
    up, down = np.cumsum(positive)[ends], np.cumsum(negative)[ends]
    gained, lost = np.diff(up, prepend=0), np.diff(down, prepend=0)
    roc = (gained * (down - lost / 2)).sum() / (above * below)
    true, false = above - (up - gained), below - (down - lost)
    precision = true / np.maximum(true + false, 1e-12)
    inside = np.clip(scores, SMALLEST, 1 - SMALLEST)
    loss = -(positive * np.log(inside) + negative * np.log1p(-inside)).sum() / weights.sum()
    return {
        "roc_auc": float(roc),
        "pr_auc": float((gained * precision).sum() / above),
        "log_loss": float(loss),
        "calibration": float((weights * scores).sum() / above),
    }
