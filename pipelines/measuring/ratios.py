"""One server's figure over the other's, with a bootstrap confidence interval.

The windows of both were run in turn (A/B/A/B), so window ``i`` of one belongs to window ``i`` of the other. The
bootstrap draws in two steps: pairs of windows with replacement, and inside each window samples with replacement.
The second step is not carried out sample by sample: the ``k``-th smallest of ``n`` draws from ``n`` samples is
the sample whose place is the ``k``-th smallest of ``n`` uniform numbers, which has the distribution
Beta(k, n - k + 1). Sources: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapters 5 and 8; David
and Nagaraja, Order Statistics, 2003.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from pipelines.facts import Quantity, RatioFacts, ScenarioFacts, ThroughputFacts
from pipelines.measuring.windows import Seen
from serving.load.early_stopping import fewest_samples

RESAMPLES = 2000
CONFIDENCE = 0.95
RANKS: dict[Quantity, float] = {"p50_ms": 0.5, "p90_ms": 0.9, "p99_ms": 0.99}

Draw = Callable[[Seen, np.random.Generator, int], np.ndarray]
"""So many bootstrap values of one window's figure."""


def latency_ratio(
    numerator: Sequence[Seen],
    denominator: Sequence[Seen],
    quantity: Quantity,
    facts: tuple[ScenarioFacts, ScenarioFacts],
    seed: int,
) -> RatioFacts | None:
    """Of a percentile of latency; None where a window has too few samples for it."""
    percentile = RANKS[quantity]
    fewest = fewest_samples(percentile)
    if any(len(each.latencies_ms) < fewest for each in (*numerator, *denominator)):
        return None

    def draw(window: Seen, random: np.random.Generator, count: int) -> np.ndarray:
        ordered = np.sort(window.latencies_ms)
        place = int(len(ordered) * percentile)
        uniform = random.beta(place + 1, len(ordered) - place, count)
        places = np.minimum((uniform * len(ordered)).astype(int), len(ordered) - 1)
        return np.asarray(ordered[places])

    def of(window: Seen) -> float:
        ordered = np.sort(window.latencies_ms)
        return float(ordered[int(len(ordered) * percentile)])

    return _ratio(numerator, denominator, quantity, of, draw, facts, seed)


def throughput_ratio(
    numerator: Sequence[Seen],
    denominator: Sequence[Seen],
    facts: tuple[ThroughputFacts, ThroughputFacts],
    seed: int,
) -> RatioFacts:
    """Of requests a second; a window is one value."""

    def draw(window: Seen, _random: np.random.Generator, count: int) -> np.ndarray:
        return np.full(count, window.rate)

    return _ratio(
        numerator,
        denominator,
        "requests_per_second",
        lambda window: window.rate,
        draw,
        facts,
        seed,
    )


def _ratio(
    numerator: Sequence[Seen],
    denominator: Sequence[Seen],
    quantity: Quantity,
    of: Callable[[Seen], float],
    draw: Draw,
    facts: tuple[ScenarioFacts, ScenarioFacts] | tuple[ThroughputFacts, ThroughputFacts],
    seed: int,
) -> RatioFacts:
    random = np.random.default_rng(seed)
    pairs = min(len(numerator), len(denominator))
    chosen = random.integers(pairs, size=(RESAMPLES, pairs))
    drawn = [
        np.stack([draw(window, random, RESAMPLES) for window in side[:pairs]], axis=1)
        for side in (numerator, denominator)
    ]
    medians = [np.median(np.take_along_axis(values, chosen, axis=1), axis=1) for values in drawn]
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(medians[0] / medians[1], (tail, 100 - tail))
    above, below = (float(np.median([of(each) for each in s])) for s in (numerator, denominator))
    said = numerator[0].said
    against = _against(facts)
    return RatioFacts(
        quantity=quantity,
        protocol=facts[0].protocol,
        scenario=said["scenario"],
        clients=said["clients"] or None,
        numerator=facts[0].server,
        denominator=facts[1].server,
        ratio=above / below,
        low=min(float(low), above / below),
        high=max(float(high), above / below),
        confidence=CONFIDENCE,
        pairs=pairs,
        resamples=RESAMPLES,
        usable=not against,
        why_not="; ".join(against),
    )


def _against(facts: Sequence[ScenarioFacts] | Sequence[ThroughputFacts]) -> list[str]:
    """What stands against quoting the ratio."""
    found = []
    for each in facts:
        if each.validity != "VALID":
            found.append(f"{each.server} is {each.validity}")
        if each.unstable:
            found.append(f"{each.server} is UNSTABLE")
        if each.client and each.client.saturated:
            found.append(f"{each.server} is SATURATED: the client was the limit")
    return found
