"""One server's figure over the other's, with its confidence interval; see :mod:`pipelines.measuring.intervals`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pipelines.facts import Quantity, RatioFacts, ScenarioFacts, ThroughputFacts
from pipelines.measuring.intervals import CONFIDENCE, interval_of
from pipelines.measuring.windows import Seen
from serving.load.early_stopping import fewest_samples

RANKS: dict[Quantity, float] = {"p50_ms": 0.5, "p90_ms": 0.9, "p99_ms": 0.99}


def latency_ratio(
    numerator: Sequence[Seen],
    denominator: Sequence[Seen],
    quantity: Quantity,
    facts: tuple[ScenarioFacts, ScenarioFacts],
    seed: int,
) -> RatioFacts | None:
    """Of a percentile of latency; None where a window has too few samples for it, or there is one pair only."""
    percentile = RANKS[quantity]
    fewest = fewest_samples(percentile)
    if any(len(each.latencies_ms) < fewest for each in (*numerator, *denominator)):
        return None

    def of(window: Seen) -> float:
        return window.percentile_ms(100 * percentile)

    return _ratio(numerator, denominator, quantity, of, facts, seed)


def throughput_ratio(
    numerator: Sequence[Seen],
    denominator: Sequence[Seen],
    facts: tuple[ThroughputFacts, ThroughputFacts],
    seed: int,
) -> RatioFacts | None:
    """Of requests a second; None where a window has none, or there is one pair only."""
    return _ratio(
        numerator, denominator, "requests_per_second", lambda window: window.rate, facts, seed
    )


def _ratio(
    numerator: Sequence[Seen],
    denominator: Sequence[Seen],
    quantity: Quantity,
    of: Callable[[Seen], float],
    facts: tuple[ScenarioFacts, ScenarioFacts] | tuple[ThroughputFacts, ThroughputFacts],
    seed: int,
) -> RatioFacts | None:
    found = interval_of([of(each) for each in numerator], [of(each) for each in denominator], seed)
    if found is None:
        return None
    said = numerator[0].said
    against = _against(facts, quantity)
    return RatioFacts(
        quantity=quantity,
        protocol=facts[0].protocol,
        scenario=said["scenario"],
        clients=said["clients"] or None,
        numerator=facts[0].server,
        denominator=facts[1].server,
        ratio=found.ratio,
        low=found.low,
        high=found.high,
        confidence=CONFIDENCE,
        interval=found.kind,
        pairs=min(len(numerator), len(denominator)),
        resamples=found.resamples,
        usable=not against,
        why_not="; ".join(against),
    )


def _against(
    facts: Sequence[ScenarioFacts] | Sequence[ThroughputFacts], quantity: Quantity
) -> list[str]:
    """What stands against quoting the ratio of this figure; another one that is unstable does not."""
    found = []
    for each in facts:
        if each.validity != "VALID":
            found.append(f"{each.server} is {each.validity}")
        if each.is_unstable(quantity):
            found.append(f"{each.server} is UNSTABLE")
        if each.client and each.client.saturated:
            found.append(f"{each.server} is SATURATED: the client was the limit")
    return found
