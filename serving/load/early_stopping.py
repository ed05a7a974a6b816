"""How many samples a percentile needs, by MLPerf's early stopping.

With ``t`` of ``n`` queries over a latency, the share of queries under it is at least ``p`` with confidence ``c``
if a system whose share is only ``p`` would show so few with a probability of at most ``1 - c``:

    sum over x from 0 to t of Binomial(n, x) (1 - p)^x p^(n - x)  <=  1 - c

The left side is the cumulative distribution of Binomial(n, 1 - p) at t. For p = 0.99 and c = 0.99, n is 459 for
t = 0, and 662 for t = 1. Source: MLPerf Inference rules, "Early stopping", and loadgen/early_stopping.cc of
mlcommons/inference, which allows a tolerance too and is called with 0.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.stats import binom

CONFIDENCE = 0.99


@lru_cache(maxsize=1024)
def fewest_samples(percentile: float, over: int = 0, confidence: float = CONFIDENCE) -> int:
    """How many queries must be seen where ``over`` of them are over the latency.

    Args:
        percentile: 0 to 1.
        over: queries above the latency in question.
        confidence: 0 to 1.
    """
    low, high = over, over + 1
    while binom.cdf(over, high, 1 - percentile) > 1 - confidence:
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        enough = binom.cdf(over, middle, 1 - percentile) <= 1 - confidence
        low, high = (low, middle) if enough else (middle, high)
    return high


def may_be_over(percentile: float, samples: int, confidence: float = CONFIDENCE) -> int | None:
    """How many of so many samples may be over the percentile's estimate; None where there are too few for any."""
    if samples < fewest_samples(percentile, 0, confidence):
        return None
    low, high = 0, samples
    while high - low > 1:
        middle = (low + high) // 2
        fits = fewest_samples(percentile, middle, confidence) <= samples
        low, high = (middle, high) if fits else (low, middle)
    return low


def estimate(latencies: np.ndarray, percentile: float) -> tuple[float, float] | None:
    """A percentile, and what it is not above with 99 % confidence; None where there are too few samples.

    Both are taken as LoadGen takes them: the percentile is sample number ``n * percentile`` of the sorted ones,
    the estimate is number ``n - max(t, 1)``, where ``t`` samples may be over it.

    Args:
        latencies: (N,), in any unit and order.
        percentile: 0 to 1.
    """
    count = len(latencies)
    over = may_be_over(percentile, count)
    if over is None:
        return None
    ordered = np.sort(latencies)
    return float(ordered[int(count * percentile)]), float(ordered[count - max(over, 1)])
