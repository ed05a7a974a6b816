"""MLPerf's early stopping: the published numbers of queries, and LoadGen's own estimate."""

from __future__ import annotations

import numpy as np
import pytest

from serving.load.early_stopping import estimate, fewest_samples, may_be_over

# Without any query over the latency, and with one: what LoadGen asks for before it says anything.
PUBLISHED = {
    0.5: (7, 11),
    0.9: (44, 64),
    0.95: (90, 130),
    0.97: (152, 219),
    0.99: (459, 662),
    0.999: (4603, 6636),
}


@pytest.mark.parametrize(("percentile", "numbers"), PUBLISHED.items())
def test_fewest_samples_are_the_published_ones(percentile: float, numbers: tuple[int, int]) -> None:
    assert (fewest_samples(percentile), fewest_samples(percentile, over=1)) == numbers


@pytest.mark.parametrize("samples", [0, 1, 458])
def test_too_few_samples_have_no_p99(samples: int) -> None:
    assert may_be_over(0.99, samples) is None
    assert estimate(np.ones(samples), 0.99) is None


def test_as_many_as_needed_have_one() -> None:
    assert may_be_over(0.99, 459) == 0
    assert estimate(np.arange(459.0), 0.99) == (454.0, 458.0)


def test_what_may_be_over_just_fits() -> None:
    for samples in (44, 63, 64, 500, 5000):
        over = may_be_over(0.9, samples)
        assert over is not None
        assert fewest_samples(0.9, over) <= samples < fewest_samples(0.9, over + 1)


def test_the_order_of_samples_does_not_matter() -> None:
    values = np.random.default_rng(1).permutation(1000).astype(float)
    assert estimate(values, 0.9) == estimate(np.sort(values), 0.9)


def test_the_estimate_is_seldom_below_the_truth() -> None:
    """With 99 % confidence: of 400 draws of 500 samples about 4 are."""
    random = np.random.default_rng(7)
    truth = -np.log(1 - 0.9)
    below = sum(estimate(random.exponential(size=500), 0.9)[1] < truth for _ in range(400))  # type: ignore[index]
    assert below <= 12
