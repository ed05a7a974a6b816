"""Columns that know the label: TFDV looks at columns one by one, and so cannot see these."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

LEAKS = frozenset(
    {"dep_delay", "arr_delay", "dep_time", "arr_time", "air_time", "tailnum", "cancelled"}
)
"""Columns of the source that are known only after departure, or identify the aircraft."""
SEPARATES = 0.95
FEWEST_OF_A_WORD = 20
"""Rows a word needs before its share of late rows says anything; rarer ones are taken together."""


def separating_columns(
    header: Sequence[str], rows: Sequence[Sequence[str]], label: str
) -> dict[str, float]:
    """Columns that alone tell late rows from the others: ROC AUC by name, where it is at least ``SEPARATES``.

    Args:
        header: names of the columns.
        rows: texts (N, columns).
        label: the name of the column of 0 and 1.
    """
    if label not in header:
        return {}
    columns = np.array(rows, np.str_).T  # (columns, N)
    truth = columns[list(header).index(label)]
    if set(np.unique(truth)) != {"0", "1"}:
        return {}
    late = truth == "1"  # (N,)
    found = {}
    for name, column in zip(header, columns, strict=True):
        if name != label:
            auc = area_under_roc(_scores(column, late), late)
            if max(auc, 1 - auc) >= SEPARATES:
                found[name] = max(auc, 1 - auc)
    return found


def area_under_roc(scores: np.ndarray, truth: np.ndarray) -> float:
    """Probability that a true row scores above a false one, ties counting half (Mann-Whitney).

    Args:
        scores: float (N,).
        truth: bool (N,), with both values.
    """
    _, places, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2  # mean rank of each distinct score
    positive = int(truth.sum())
    total = ranks[places][truth].sum() - positive * (positive + 1) / 2
    return float(total / (positive * (len(truth) - positive)))


def _scores(column: np.ndarray, late: np.ndarray) -> np.ndarray:
    """Numbers as they are, missing ones at the mean; words as their share of late rows."""
    try:
        numbers = np.where(column == "", "nan", column).astype(np.float64)
        present = ~np.isnan(numbers)
        fill = numbers[present].mean() if present.any() else 0.0
        return np.where(present, numbers, fill)
    except ValueError:
        _, places, counts = np.unique(column, return_inverse=True, return_counts=True)
        places = np.where((counts < FEWEST_OF_A_WORD)[places], len(counts), places)
        rows = np.bincount(places, minlength=len(counts) + 1)
        shares = np.bincount(places, late, len(counts) + 1) / np.maximum(rows, 1)
        return np.asarray(shares[places])
