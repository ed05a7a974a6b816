"""A change of unit: all quantiles of a column multiplied by one number. TFDV has no name for it."""

from __future__ import annotations

from typing import Any

import numpy as np

from pipelines.tfx.inside.findings import Finding
from pipelines.tfx.inside.summaries import deciles_of

SCALED = 0.25
"""The least change that is taken for one of unit; the distances of real months differ by 4 % at most."""
STEADY = 0.25
"""A threshold of drift (Jensen-Shannon) up to which the schema expects a column to stay as it is."""
ALIKE = 0.15
"""How far a decile's ratio may lie from the middle one: months of a few hundred rows differ by 10 %."""
NAMED = 0.08
"""How near a factor must come to a known one to be named after it."""
FACTORS = {
    "miles to kilometres": 1.609344,
    "kilometres to miles": 1 / 1.609344,
    "minutes to seconds": 60.0,
    "minutes to hours": 1 / 60,
    "hundredths": 100.0,
    "inches to millimetres": 25.4,
}


def changed_units(span: int, stats: Any, before: int, previous: Any, schema: Any) -> list[Finding]:
    """Columns of positive numbers whose deciles are those of the span before, all multiplied alike.

    Args:
        span: the number of the span.
        stats: its statistics, one dataset.
        before: the number of the span that ``previous`` is of.
        previous: the statistics to compare with.
        schema: only columns that it expects to be steady are looked at; weather has seasons.
    """
    now, then = deciles_of(stats), deciles_of(previous)
    found = []
    for name in sorted(now.keys() & then.keys() & _steady(schema)):
        if then[name].min() <= 0 or now[name].min() <= 0:
            continue
        ratios = now[name] / then[name]  # (9,)
        middle = float(np.median(ratios))
        if abs(np.log(middle)) < np.log1p(SCALED) or np.abs(ratios / middle - 1).max() > ALIKE:
            continue
        found.append(
            Finding(
                span,
                name,
                "unit changed",
                f"the scale of span {before}",
                f"every decile multiplied by {middle:.3f}{_guess(middle)}",
            )
        )
    return found


def _steady(schema: Any) -> set[str]:
    return {
        feature.name
        for feature in schema.feature
        if feature.drift_comparator.HasField("jensen_shannon_divergence")
        and feature.drift_comparator.jensen_shannon_divergence.threshold <= STEADY
    }


def _guess(factor: float) -> str:
    for name, known in FACTORS.items():
        if abs(factor / known - 1) < NAMED:
            return f", as from {name}"
    return ""
