"""Both models slice by slice as facts, from what TFMA said."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from models.framework import FrameworkName
from pipelines.tfx.facts import (
    BoundFacts,
    MetricFacts,
    MissedFacts,
    ModelSlices,
    SliceFacts,
    SlicesFacts,
)


def slices_of(found: Mapping[str, Any]) -> SlicesFacts:
    """
    Args:
        found: the result of the verb ``evaluate``.
    """
    return SlicesFacts(
        rows=found["rows"],
        columns=found["slices"],
        fewest_rows=found["fewest_rows"],
        bounds=[
            BoundFacts(scope=scope, metric=metric, **bounds)
            for scope, metrics in found["thresholds"].items()
            for metric, bounds in metrics.items()
        ],
        too_small=found["too_small"],
        compared_with_service=found["compared_with_service"],
        models=[_model(name, facts) for name, facts in found["models"].items()],
    )


def _model(framework: FrameworkName, found: Mapping[str, Any]) -> ModelSlices:
    return ModelSlices(
        framework=framework,
        blessed=found["blessed"],
        slices=[_slice(each) for each in found["slices"]],
        missed=[
            MissedFacts(
                **_place(each["slice"]),
                metric=each["metric"],
                figure=each["value"],
                threshold=each["threshold"],
                change=each["change"],
            )
            for each in found["failures"]
        ],
    )


def _slice(found: Mapping[str, Any]) -> SliceFacts:
    served = found["in_service"] or {}
    return SliceFacts(
        **_place(found["slice"]),
        rows=found["rows"],
        positives=found["positives"],
        metrics={
            name: MetricFacts(
                value=_known(value),
                low=_known(found["intervals"].get(name, (None, None))[0]),
                high=_known(found["intervals"].get(name, (None, None))[1]),
                in_service=_known(served.get(name)),
            )
            for name, value in found["metrics"].items()
        },
    )


def _place(named: str) -> dict[str, str]:
    """``carrier=UA`` as its two parts; all rows have none."""
    column, _, value = named.partition("=")
    return {"column": column, "value": value}


def _known(value: float | None) -> float | None:
    """None for what is not a number, which JSON does not have."""
    return value if value is not None and math.isfinite(value) else None
