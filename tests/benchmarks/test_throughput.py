"""The arithmetic of paired trainings, on epochs whose times are known."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from benchmarks.throughput import (
    Pair,
    TimedEpoch,
    TooShort,
    epochs_for,
    median_rate,
    median_ratio,
    steady_rates,
    train_side_by_side,
)
from benchmarks.training_figures import training_figures


def epochs(first_ends: float, *seconds: float, compiling: float = 5.0) -> list[TimedEpoch]:
    """Epochs in a row; the first took ``compiling`` and ends at ``first_ends``."""
    found, now = [TimedEpoch(first_ends, compiling)], first_ends
    for each in seconds:
        now += each
        found.append(TimedEpoch(now, each))
    return found


def test_the_first_epoch_does_not_count() -> None:
    seen = {"a": epochs(10, *[0.5] * 8), "b": epochs(10, *[1.0] * 4)}
    assert steady_rates(seen, rows=100) == {"a": 200.0, "b": 100.0}


def test_epochs_without_company_do_not_count() -> None:
    # b starts at 14 and ends at 20; a had the machine to itself before 14 and after 20, and was faster.
    seen = {
        "a": epochs(10, *[0.1] * 40, *[0.5] * 12, *[0.1] * 40),
        "b": epochs(14, *[1.0] * 6),
    }
    assert steady_rates(seen, rows=100) == pytest.approx({"a": 200.0, "b": 100.0})


def test_trainings_that_hardly_meet_say_nothing() -> None:
    with pytest.raises(TooShort, match="epochs of a"):
        steady_rates({"a": epochs(10, *[1.0] * 4), "b": epochs(13, *[1.0] * 9)}, rows=100)


def test_whoever_starts_sooner_trains_longer() -> None:
    # a is done compiling 3 s before b; both are to be busy for 8 s after that.
    seen = {"a": epochs(10, *[0.5] * 11), "b": epochs(13, *[0.25] * 11)}
    wanted = epochs_for(seen, seconds=8)
    assert wanted == {"a": 23, "b": 33}  # the first one, then 11 s and 8 s of epochs


def test_one_disturbed_pair_does_not_decide() -> None:
    pairs = [Pair({"a": rate}, {"a": 100.0}) for rate in (99.0, 12.0, 97.0)]
    assert median_ratio(pairs, "a") == pytest.approx(0.97)


def test_ratios_are_paired_before_the_median_is_taken() -> None:
    # The machine slows down threefold over the run; side by side, the pipeline always reaches 0.9.
    pairs = [Pair({"a": 0.9 * rate}, {"a": rate}) for rate in (300.0, 200.0, 100.0)]
    assert median_ratio(pairs, "a") == pytest.approx(0.9)
    assert median_rate(pairs, "a", "bare") == 200.0


def test_a_slow_pipeline_misses_the_goal() -> None:
    pairs = [
        Pair({"tensorflow": 94.0, "pytorch": 96.0}, {"tensorflow": 100.0, "pytorch": 100.0})
    ] * 3
    keras, torch = training_figures(pairs, {"tensorflow": 50, "pytorch": 60}, threads=1)
    assert (keras.met, torch.met) == (False, True)
    assert "Keras" in keras.name and "PyTorch" in torch.name


def test_trainings_run_at_the_same_time() -> None:
    both = threading.Barrier(2, timeout=20)

    def train(name: str, count: int, told: Callable[[float], None]) -> None:
        both.wait()  # would break if one waited for the other
        for _ in range(count):
            told(0.01)

    seen = train_side_by_side(train, {"a": 2, "b": 3})
    assert {name: len(each) for name, each in seen.items()} == {"a": 2, "b": 3}


def test_when_one_fails_the_other_is_stopped() -> None:
    stopped = threading.Event()

    def train(name: str, count: int, told: Callable[[float], None]) -> None:
        if name == "a":
            raise RuntimeError("a is broken")
        assert stopped.wait(20), "nobody stopped b"

    with pytest.raises(RuntimeError, match="a is broken"):
        train_side_by_side(train, {"a": 1, "b": 1}, stopped.set)
