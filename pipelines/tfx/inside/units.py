"""A change of unit: all quantiles of a column multiplied by one number. TFDV has no name for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pipelines.tfx.inside.findings import Finding
from pipelines.tfx.inside.summaries import deciles_of


@dataclass(frozen=True)
class Steadiness:
    """How alike two spans of a column are expected to be.

    Attributes:
        drift: the schema's threshold of drift (Jensen-Shannon) up to which this holds.
        scaled: the least change that is taken for one of unit.
        alike: how far a decile's ratio may lie from the middle one.
    """

    drift: float
    scaled: float
    alike: float


EXPECTED = (Steadiness(0.25, 0.25, 0.15), Steadiness(0.4, 0.5, 0.35))
"""Columns that stay as they are: real months differ by 4 % in their middle, months of a few hundred rows by 10 %
in a decile. And those with mild seasons (wind, humidity), which differ by 27 % and 33 %: what the season takes
back of a change of unit is not seen. Temperatures and rain change too much for any such rule."""
NAMED = 0.08
"""How near a factor must come to a known one to be named after it."""
FACTORS = {
    "miles to kilometres": 1.609344,
    "kilometres to miles": 1 / 1.609344,
    "minutes to seconds": 60.0,
    "minutes to hours": 1 / 60,
    "miles an hour to metres a second": 0.44704,
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
        schema: its thresholds of drift say how steady it expects a column to be.
    """
    now, then, steady = deciles_of(stats), deciles_of(previous), _steady(schema)
    found = []
    for name in sorted(now.keys() & then.keys() & steady.keys()):
        if then[name].min() <= 0 or now[name].min() <= 0:
            continue
        ratios = now[name] / then[name]  # (9,)
        middle = float(np.median(ratios))
        least, alike = np.log1p(steady[name].scaled), steady[name].alike
        if abs(np.log(middle)) < least or np.abs(ratios / middle - 1).max() > alike:
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


def _steady(schema: Any) -> dict[str, Steadiness]:
    """By column; the others are not looked at."""
    found = {}
    for feature in schema.feature:
        comparator = feature.drift_comparator
        if comparator.HasField("jensen_shannon_divergence"):
            threshold = comparator.jensen_shannon_divergence.threshold
            if fitting := [each for each in EXPECTED if threshold <= each.drift]:
                found[feature.name] = fitting[0]
    return found


def _guess(factor: float) -> str:
    for name, known in FACTORS.items():
        if abs(factor / known - 1) < NAMED:
            return f", as from {name}"
    return ""
