"""TFMA's results in our words: metrics by slice, and every threshold that was missed."""

from __future__ import annotations

import math
from typing import Any

import tensorflow_model_analysis as tfma

from pipelines.tfx.inside.predictions import OVERALL, Slice


def measured(uri: str) -> dict[str, dict[Slice, dict[str, float]]]:
    """Metrics by model (``candidate``, ``baseline``), slice and name, of an evaluation."""
    found: dict[str, dict[Slice, dict[str, float]]] = {}
    for each in tfma.load_metrics(uri):
        where = _slice_of(each.slice_key)
        for pair in each.metric_keys_and_values:
            if where is None or pair.key.is_diff:
                continue
            model = pair.key.model_name or "candidate"
            slices = found.setdefault(model, {})
            slices.setdefault(where, {})[pair.key.name] = pair.value.double_value.value
    return found


def failures_of(uri: str) -> list[dict[str, Any]]:
    """Missed thresholds: slice, metric, value, the threshold in words, and whether it is one of change."""
    result = tfma.load_validation_result(uri)
    found = []
    for validation in result.metric_validations_per_slice:
        where = _slice_of(validation.slice_key)
        for failure in validation.failures:
            column, value = where or (OVERALL, "all")
            bounds = failure.metric_threshold
            change = failure.metric_key.is_diff or bounds.HasField("change_threshold")
            number = failure.metric_value.double_value.value
            found.append(
                {
                    "slice": "" if column == OVERALL else f"{column}={value}",
                    "metric": failure.metric_key.name,
                    "value": number if math.isfinite(number) else None,
                    "threshold": _words(bounds, column != OVERALL),
                    "change": change,
                    "message": failure.message,
                }
            )
    for missing in result.missing_slices:
        found.append(
            {
                "slice": str(missing).strip(),
                "metric": "",
                "value": None,
                "threshold": "must be there",
                "change": False,
                "message": "TFMA found no rows of this slice.",
            }
        )
    return found


def _words(bounds: Any, in_slice: bool) -> str:
    if bounds.HasField("change_threshold"):
        limit = abs(bounds.change_threshold.absolute.value)
        noise = ", noise included" if in_slice else ""
        return f"at most {limit:.3g} worse than the model in service{noise}"
    value = bounds.value_threshold
    parts = []
    if value.HasField("lower_bound"):
        parts.append(f"at least {value.lower_bound.value:g}")
    if value.HasField("upper_bound"):
        parts.append(f"at most {value.upper_bound.value:g}")
    return " and ".join(parts)


def _slice_of(key: Any) -> Slice | None:
    names = {each.column: each.bytes_value.decode() for each in key.single_slice_keys}
    return (names["column"], names["value"]) if "column" in names else None
