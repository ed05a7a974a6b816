"""TFDV's anomalies in our words: which feature, what the schema expects of it, what was found."""

from __future__ import annotations

from typing import Any

from pipelines.tfx.inside.findings import Finding

_NOT_OURS = (
    "COMPARATOR_L_INFTY_HIGH",
    "COMPARATOR_JENSEN_SHANNON_DIVERGENCE_HIGH",
    "COMPARATOR_CONTROL_DATA_MISSING",
)
"""Drift is told with its score: a changed world is a reason to retrain, not to refuse the data. And what the span
before lacks is no fault of this one."""
_TOO_FEW = ("FEATURE_TYPE_LOW_FRACTION_PRESENT", "FEATURE_TYPE_LOW_NUMBER_PRESENT")
"""TFDV calls these "Column dropped" as well."""


def findings_of(span: int, anomalies: Any, schema: Any) -> list[Finding]:
    """What of TFDV's anomalies must stop a pipeline: all but drift.

    Args:
        span: where; 0 for a whole split.
        anomalies: ``anomalies_pb2.Anomalies``.
        schema: ``schema_pb2.Schema``.
    """
    found = []
    for name, info in sorted(anomalies.anomaly_info.items()):
        reasons = [each for each in info.reason if _type_of(each) not in _NOT_OURS]
        kinds = "; ".join(dict.fromkeys(_kind_of(each) for each in reasons))
        told = " ".join(dict.fromkeys(each.description for each in reasons))
        if reasons:
            feature = ".".join(info.path.step) or name
            found.append(Finding(span, feature, kinds, expectation_of(feature, schema), told))
    if anomalies.HasField("dataset_anomaly_info"):
        info = anomalies.dataset_anomaly_info
        kind = "; ".join(each.short_description for each in info.reason) or info.short_description
        told = " ".join(each.description for each in info.reason) or info.description
        found.append(Finding(span, "", kind, "an ordinary number of rows", told))
    if anomalies.data_missing:
        found.append(Finding(span, "", "Data missing", "rows", "none"))
    return found


def drift_of(span: int, against: str, anomalies: Any, schema: Any) -> list[dict[str, Any]]:
    """Distances between two spans, a feature each: measure, score, threshold, and whether it was exceeded."""
    found = []
    for info in anomalies.drift_skew_info:
        feature = ".".join(info.path.step)
        for each in (*info.drift_measurements, *info.skew_measurements):
            measure = type(each).Type.Name(each.type).lower()
            found.append(
                {
                    "span": span,
                    "against": against,
                    "feature": feature,
                    "measure": measure,
                    "score": each.value,
                    "threshold": each.threshold,
                    "exceeded": each.value > each.threshold,
                }
            )
    return found


def expectation_of(name: str, schema: Any) -> str:
    """What the schema asks of a feature, in words."""
    for feature in schema.feature:
        if feature.name == name:
            return ", ".join(_parts(feature, schema))
    known = ", ".join(each.name for each in schema.feature)
    return f"one of the schema's columns ({known})"


def _parts(feature: Any, schema: Any) -> list[str]:
    parts = [{1: "text", 2: "whole numbers", 3: "numbers with a point"}[feature.type]]
    if feature.presence.min_fraction == 1:
        parts.append("never missing")
    elif feature.presence.min_fraction:
        parts.append(f"at most {1 - feature.presence.min_fraction:.0%} missing")
    if feature.HasField("float_domain"):
        parts.append(f"from {feature.float_domain.min:g} to {feature.float_domain.max:g}")
    if feature.HasField("int_domain"):
        parts.append(f"from {feature.int_domain.min} to {feature.int_domain.max}")
    for domain in schema.string_domain:
        if domain.name == feature.domain:
            parts.append(f"one of {len(domain.value)} known values")
    mass = feature.distribution_constraints.min_domain_mass
    if feature.HasField("distribution_constraints") and mass < 1:
        parts.append(f"but for {1 - mass:.0%} of the rows")
    return parts


def _kind_of(reason: Any) -> str:
    return "Too few values" if _type_of(reason) in _TOO_FEW else str(reason.short_description)


def _type_of(reason: Any) -> str:
    name: str = (
        type(reason).DESCRIPTOR.fields_by_name["type"].enum_type.values_by_number[reason.type].name
    )
    return name
