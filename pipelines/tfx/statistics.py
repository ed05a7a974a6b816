"""The rows' statistics as facts: TFDV's figures of every split, and histograms on bins that all splits share.

TFDV gives each split bins of its own, between its own smallest and largest value, so that its histograms cannot be
laid over one another. The rows are at hand here: they are counted on one set of bins.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from models.case import Case
from models.dataset import Dataset
from pipelines.tfx.facts import ColumnFacts, DriftFacts, FeatureFacts, SplitFacts, StatisticsFacts

BINS = 24
MOST_WHOLE_NUMBERS = 40
"""Whole numbers of at most so many different values get a bin each."""
TOP = 6
FIGURES = ("mean", "std", "min", "median", "max", "zeros", "distinct")


def shared_histograms(dataset: Dataset) -> dict[str, dict[str, Any]]:
    """By feature: ``edges`` of the bins, or the commonest ``values``, and by split its ``shares`` of all rows.

    Args:
        dataset: columns of one number or one text a row, (N,); NaN and "" are missing.
    """
    splits = {name: getattr(dataset, name).inputs for name in Dataset.SPLITS}
    features = [name for name, values in dataset.train.inputs.items() if values.ndim == 1]
    return {name: _shared({split: each[name] for split, each in splits.items()})
            for name in features}  # fmt: skip


def _shared(columns: Mapping[str, np.ndarray]) -> dict[str, Any]:
    if all(np.issubdtype(values.dtype, np.number) for values in columns.values()):
        edges = bin_edges(np.concatenate(list(columns.values())))
        counts = {split: np.histogram(values[np.isfinite(values)], edges)[0]
                  for split, values in columns.items()} if len(edges) else {}  # fmt: skip
        return {"edges": edges.tolist(), "values": [], "shares": _by_rows(counts, columns)}
    texts = {split: values.astype(np.str_) for split, values in columns.items()}
    values = commonest(np.concatenate(list(texts.values())))
    counts = {
        split: np.array([np.count_nonzero(column == value) for value in values])
        for split, column in texts.items()
    }
    return {"edges": [], "values": values, "shares": _by_rows(counts, columns)}


def _by_rows(
    counts: Mapping[str, np.ndarray], columns: Mapping[str, np.ndarray]
) -> dict[str, list[float]]:
    return {
        split: (each / max(len(columns[split]), 1)).round(6).tolist()
        for split, each in counts.items()
    }


def bin_edges(values: np.ndarray) -> np.ndarray:
    """Edges of the bins of numbers (N,), NaN among them: (B + 1,), ascending; none where there is no number.

    Few whole numbers, as months are, get a bin each; all else gets ``BINS`` of equal width.
    """
    known = values[np.isfinite(values)].astype(np.float64)
    if not len(known):
        return np.array([])
    low, high = known.min(), known.max()
    if (known == np.round(known)).all() and high - low < MOST_WHOLE_NUMBERS:
        return np.arange(low, high + 2) - 0.5
    if low == high:
        return np.array([low - 0.5, high + 0.5])
    return np.linspace(low, high, BINS + 1)


def commonest(texts: np.ndarray) -> list[str]:
    """The commonest texts of (N,), the first in the alphabet where two are equally common."""
    values, counts = np.unique(texts[texts != ""], return_counts=True)
    order = np.lexsort((values, -counts))[:TOP]
    return [str(value) for value in values[order]]


def statistics_of(
    case: Case, found: Mapping[str, Any], histograms: Mapping[str, Any]
) -> StatisticsFacts:
    """
    Args:
        case: what its inputs mean, and which of them is the span.
        found: the result of the verb ``validate``.
        histograms: of ``shared_histograms``.
    """
    splits = found["statistics"]["splits"]
    meanings = {spec.name: spec.meaning for spec in case.contract.inputs}
    return StatisticsFacts(
        span=case.span,
        splits=[
            SplitFacts(name=name, spans=sorted(spans), rows=found["rows"][name])
            for name, spans in found["splits"].items()
        ],
        features=[
            FeatureFacts(
                name=name,
                meaning=meanings[name],
                edges=shared["edges"],
                values=shared["values"],
                columns=[_column(split, name, splits[split], shared) for split in splits],
            )
            for name, shared in histograms.items()
        ],
        # That the span's own number changes from span to span is no drift.
        drift=[DriftFacts(**each) for each in found["drift"] if each["feature"] != case.span],
    )


def _column(
    split: str, feature: str, summary: Mapping[str, Any], shared: Mapping[str, Any]
) -> ColumnFacts:
    """A column without any value is one that TFDV does not list."""
    found = summary["features"].get(feature, {"count": 0, "missing": 1.0})
    return ColumnFacts(
        split=split,
        count=found["count"],
        missing=found["missing"],
        **{name: found[name] for name in FIGURES if name in found},
        shares=shared["shares"].get(split, []),
    )
