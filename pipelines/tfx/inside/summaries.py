"""TFDV's statistics as JSON, for drawing: what a report shows of a split or of a span."""

from __future__ import annotations

from typing import Any

import numpy as np

TOP = 12
_NAMES = {0: "INT", 1: "FLOAT", 2: "STRING", 3: "BYTES", 4: "STRUCT"}
STANDARD, QUANTILES = 0, 1


def summary_of(statistics: Any, curves: bool = True) -> dict[str, Any]:
    """Rows, and by feature: type, count, missing share; mean, std, zeros, deciles and histogram, or the commonest
    values.

    Args:
        statistics: ``DatasetFeatureStatisticsList`` of one dataset.
        curves: with the histogram.
    """
    (dataset,) = statistics.datasets
    rows = dataset.num_examples
    features = {".".join(each.path.step): _feature(each, rows, curves) for each in dataset.features}
    return {"rows": rows, "features": features}


def deciles_of(statistics: Any) -> dict[str, np.ndarray]:
    """The nine deciles (9,) of every column of numbers that has values."""
    return {
        ".".join(each.path.step): np.array(_deciles(each))
        for dataset in statistics.datasets
        for each in dataset.features
        if each.HasField("num_stats") and each.num_stats.common_stats.num_non_missing
    }


def _feature(feature: Any, rows: int, curves: bool) -> dict[str, Any]:
    stats = getattr(feature, feature.WhichOneof("stats"))
    present = stats.common_stats.num_non_missing
    found = {
        "type": _NAMES[feature.type],
        "count": present,
        "missing": 1 - present / rows if rows else 1.0,
    }
    if feature.HasField("num_stats"):
        found |= {
            "mean": stats.mean,
            "std": stats.std_dev,
            "min": stats.min,
            "median": stats.median,
            "max": stats.max,
            "zeros": stats.num_zeros / rows if rows else 0.0,
            "deciles": _deciles(feature),
        }
        if curves:
            found["histogram"] = [
                [bucket.low_value, bucket.high_value, bucket.sample_count]
                for histogram in stats.histograms
                if histogram.type == STANDARD
                for bucket in histogram.buckets
            ]
    elif feature.HasField("string_stats"):
        found |= {
            "distinct": stats.unique,
            "top": [[each.value, each.frequency] for each in stats.top_values[:TOP]],
        }
    return found


def _deciles(feature: Any) -> list[float]:
    """The inner bounds of TFDV's ten buckets of equal count."""
    for histogram in feature.num_stats.histograms:
        if histogram.type == QUANTILES:
            return [bucket.high_value for bucket in histogram.buckets][:-1]
    return []
