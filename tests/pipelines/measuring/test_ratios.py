"""A ratio's interval holds the true ratio as often as it says, whatever drifts under both servers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from pipelines.measuring.figures import throughput_facts
from pipelines.measuring.intervals import FEWEST_TO_RESAMPLE
from pipelines.measuring.ratios import throughput_ratio
from pipelines.measuring.windows import Seen
from tests.pipelines.measuring.windows import endpoint, said, windows

OFFLINE = {"scenario": "Offline", "clients": 4}
FACTS = tuple(
    throughput_facts(windows(1, 1, 1, server=server, **OFFLINE), 4)
    for server in ("torchserve", "tfserving")
)
NONE = np.zeros(0)


def seen(rates: Sequence[float]) -> list[Seen]:
    return [Seen(endpoint(), said(**OFFLINE, rate=rate), NONE, 0.0) for rate in rates]


def covered(pairs: int, truth: float, runs: int, noise: float, skewed: bool = False) -> float:
    """The share of simulated runs whose interval holds the true ratio.

    A window's rate is its server's times a drift that both share times log-normal (or skewed) noise of its own.
    """
    random = np.random.default_rng(20_261_127)
    held = 0
    for seed in range(runs):
        drift = np.exp(np.cumsum(random.normal(0, 0.05, pairs)))
        draw = random.exponential if skewed else lambda scale, size: random.normal(0, scale, size)
        own = np.exp(draw(noise, (2, pairs)))
        above, below = truth * 1000 * drift * own[0], 1000 * drift * own[1]
        ratio = throughput_ratio(seen(above), seen(below), FACTS, seed)
        assert ratio
        held += ratio.low <= truth <= ratio.high
    return held / runs


@pytest.mark.parametrize(("pairs", "truth"), [(3, 1.9), (FEWEST_TO_RESAMPLE, 1.9), (9, 1.0)])
def test_the_interval_holds_the_true_ratio_as_often_as_it_says(pairs: int, truth: float) -> None:
    assert covered(pairs, truth, runs=2000, noise=0.03) >= 0.93


@pytest.mark.parametrize("pairs", [3, FEWEST_TO_RESAMPLE])
def test_it_does_so_where_noise_only_slows_down(pairs: int) -> None:
    assert covered(pairs, 1.0, runs=2000, noise=0.05, skewed=True) >= 0.93


def test_the_interval_says_how_it_was_made() -> None:
    few = throughput_ratio(seen([1, 1.1, 0.9]), seen([2, 2, 2]), FACTS, 1)
    more = throughput_ratio(seen([1, 1.1, 0.9] * 2), seen([2] * 6), FACTS, 1)
    assert few
    assert more
    assert (few.interval, few.resamples, few.pairs) == ("t", 0, 3)
    assert (more.interval, more.resamples, more.pairs) == ("bootstrap-t", 2000, 6)
    assert few.high / few.low > more.high / more.low


def test_windows_that_do_not_differ_have_no_width_and_the_same_seed_the_same_interval() -> None:
    still = throughput_ratio(seen([3] * 6), seen([2] * 6), FACTS, 1)
    assert still
    assert (still.low, still.ratio, still.high) == pytest.approx((1.5, 1.5, 1.5))
    twice = [throughput_ratio(seen([3, 4, 3, 5, 3, 4]), seen([2] * 6), FACTS, 7) for _ in range(2)]
    assert twice[0] == twice[1]


@pytest.mark.parametrize("rates", [[5], [0, 1, 1]])
def test_no_ratio_of_one_pair_or_of_nothing(rates: list[float]) -> None:
    assert throughput_ratio(seen(rates), seen([2] * len(rates)), FACTS, 1) is None
