"""What TFMA is asked: four metrics, in every slice, against fixed thresholds and against the model in service."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from models.errors import EvaluationError
from pipelines.tfx.inside.noise import Slack
from pipelines.tfx.inside.predictions import OVERALL, Slice

METRICS = {
    "roc_auc": ("AUC", True),
    "pr_auc": ("AUCPrecisionRecall", True),
    "log_loss": ("BinaryCrossentropy", False),
    "calibration": ("Calibration", False),
}
"""By our name: TFMA's class, and whether more is better. Calibration is mean probability by share of the label."""
ROLES = ("candidate", "baseline")
THRESHOLDS: dict[str, Any] = {
    "overall": {
        "roc_auc": {"min": 0.6},
        "log_loss": {"max": 0.65},
        "calibration": {"min": 0.6, "max": 1.6},
    },
    "slices": {"roc_auc": {"min": 0.52}},
    "change": {"roc_auc": {"worse_by_at_most": 0.01}, "log_loss": {"worse_by_at_most": 0.02}},
    "change_slices": {
        "roc_auc": {"worse_by_at_most": 0.02},
        "log_loss": {"worse_by_at_most": 0.03},
    },
}
"""Where the request says nothing. A slice may lose more than all rows do, for it is the whole that is trained on;
and a limit of change on a slice is widened by what chance does there (``noise.slack_of``), so that only what is
worse beyond doubt is refused. Month by month through 2013, 50,000 rows, candidates that were not worse on all rows
lost at most 0.006 of ROC AUC and 0.004 nats beyond that doubt in any slice of 300 rows."""


def eval_config(
    slices: Iterable[Slice], thresholds: Mapping[str, Any], slack: Slack, baseline: bool
) -> Any:
    """``tfma.EvalConfig`` over rows as ``predictions.weighted_rows`` yields them.

    Args:
        slices: all that are judged.
        thresholds: as ``THRESHOLDS``.
        slack: what the limits of ``change_slices`` are widened by.
        baseline: whether change thresholds apply.

    Raises:
        EvaluationError: a threshold names no metric.
    """
    import tensorflow_model_analysis as tfma
    from google.protobuf import json_format

    roles = ROLES if baseline else ROLES[:1]
    document = {
        "modelSpecs": [_model(role) for role in roles],
        "slicingSpecs": [{"featureKeys": ["column", "value"]}],
        "metricsSpecs": [
            {
                "modelNames": list(roles),
                "exampleWeights": {"weighted": True},
                "metrics": [
                    _metric(name, slices, _checked(thresholds), slack, baseline) for name in METRICS
                ],
            }
        ],
    }
    return json_format.ParseDict(document, tfma.EvalConfig())


def without_change(config: Any) -> Any:
    """The same without a baseline's thresholds, for those parts of TFMA that know of no baseline."""
    found = type(config)()
    found.CopyFrom(config)
    for specs in found.metrics_specs:
        for metric in specs.metrics:
            for each in metric.per_slice_thresholds:
                each.threshold.ClearField("change_threshold")
    return found


def _model(role: str) -> dict[str, Any]:
    return {
        "name": role,
        "labelKey": "label",
        "predictionKey": role,
        "exampleWeightKey": f"{role}_weight",
        "isBaseline": role == "baseline",
    }


def _metric(
    name: str,
    slices: Iterable[Slice],
    thresholds: Mapping[str, Any],
    slack: Slack,
    baseline: bool,
) -> dict[str, Any]:
    class_name, _ = METRICS[name]
    found: dict[str, Any] = {"className": class_name, "perSliceThresholds": []}
    if class_name.startswith("AUC"):
        found["config"] = json.dumps({"num_thresholds": 1000, "name": name})
    else:
        found["config"] = json.dumps({"name": name})
    for each in slices:
        scopes = ("overall", "change") if each[0] == OVERALL else ("slices", "change_slices")
        absolute, change = (thresholds.get(scope, {}).get(name) for scope in scopes)
        # Of all rows there are enough.
        wider = 0.0 if each[0] == OVERALL else slack.get(each, {}).get(name)
        threshold: dict[str, Any] = {}
        if absolute:
            threshold["valueThreshold"] = _bounds(absolute)
        if change and baseline and wider is not None:
            threshold["changeThreshold"] = _change(name, change["worse_by_at_most"] + wider)
        if threshold:
            found["perSliceThresholds"].append(
                {"slicingSpecs": [_values(each)], "threshold": threshold}
            )
    return found


def _change(name: str, worse_by_at_most: float) -> dict[str, Any]:
    _, more_is_better = METRICS[name]
    return {
        "absolute": -worse_by_at_most if more_is_better else worse_by_at_most,
        "direction": "HIGHER_IS_BETTER" if more_is_better else "LOWER_IS_BETTER",
    }


def _bounds(absolute: Mapping[str, float]) -> dict[str, float]:
    names = {"min": "lowerBound", "max": "upperBound"}
    return {names[each]: value for each, value in absolute.items()}


def _values(each: Slice) -> dict[str, Any]:
    column, value = each
    return {"featureValues": {"column": column, "value": value}}


def _checked(thresholds: Mapping[str, Any]) -> Mapping[str, Any]:
    for scope, each in thresholds.items():
        unknown = [name for name in each if name not in METRICS]
        if scope not in THRESHOLDS or unknown:
            raise EvaluationError(
                f"Thresholds {scope!r} for {', '.join(unknown) or 'nothing'} are not known.",
                f"There are {', '.join(THRESHOLDS)}, each for {', '.join(METRICS)}.",
            )
    return thresholds
