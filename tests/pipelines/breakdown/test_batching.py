"""The sweep against a fake system whose best setting is known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from models.errors import PortInUse
from pipelines.breakdown.batching import WITHOUT, SweepPlan, sweep
from pipelines.breakdown.choosing import choose, confirm
from pipelines.breakdown.facts import BatchingChoice, BatchingPoint
from serving.batching import ServerBatching

PLAN = SweepPlan(rows=(4, 16, 64), delays_ms=(0, 2, 30), clients=(4, 32), bound_ms=40.0)


class FakeServer:
    """A call of a batch takes 4 ms and 0.1 ms a row; a batch that does not fill waits for its delay."""

    def __init__(self, wrong_at: ServerBatching | None = None) -> None:
        self.wrong_at = wrong_at
        self.tried: list[ServerBatching] = []

    def __call__(self, setting: ServerBatching, clients: Sequence[int]) -> list[BatchingPoint]:
        self.tried.append(setting)
        return [self.at(setting, count) for count in clients]

    def at(self, setting: ServerBatching, clients: int) -> BatchingPoint:
        rows = min(setting.rows, clients)
        waited = setting.delay_ms if rows < setting.rows else 0
        batch_ms = 4 + 0.1 * rows + waited
        latency = batch_ms * -(-clients // rows)
        wrong = 5 if setting == self.wrong_at else 0
        return BatchingPoint(
            server="Fake",
            protocol="REST",
            batch=setting.rows,
            delay_ms=setting.delay_ms,
            clients=clients,
            requests=1000,
            wrong=wrong,
            requests_per_second=rows / batch_ms * 1000,
            p50_ms=latency,
            p99_ms=latency,
            within=latency <= PLAN.bound_ms and not wrong,
        )


def test_the_best_setting_within_the_bound_is_found():
    # 32 clients in batches of at most 64 without delay: 32 rows every 7.2 ms, which nothing else reaches.
    choice = choose(sweep(FakeServer(), PLAN), PLAN.bound_ms)
    assert choice.best is not None
    assert (choice.best.batch, choice.best.delay_ms, choice.best.clients) == (64, 0, 32)
    assert choice.best.requests_per_second == pytest.approx(32 / 7.2 * 1000)
    assert choice.without is not None
    assert choice.without.batch == 1
    assert "Fake: batch 64 with 0 ms delay serves most within 40 ms at p99" in choice.reason


def test_a_setting_with_a_wrong_answer_is_not_chosen():
    best = ServerBatching(64, 0)
    choice = choose(sweep(FakeServer(wrong_at=best), PLAN), PLAN.bound_ms)
    assert choice.best is not None
    assert (choice.best.batch, choice.best.delay_ms) != (64, 0)


def test_longer_delays_of_a_hopeless_batch_size_are_left_out():
    tight = SweepPlan(rows=(4,), delays_ms=(0, 2, 30), clients=(2,), bound_ms=1.0)
    server = FakeServer()

    def never_within(setting: ServerBatching, clients: Sequence[int]) -> list[BatchingPoint]:
        return [each.model_copy(update={"within": False}) for each in server(setting, clients)]

    points = sweep(never_within, tight)
    assert server.tried == [WITHOUT, ServerBatching(4, 0)]
    choice = choose(points, tight.bound_ms)
    assert choice.best is None
    assert choice.reason == "Fake: no setting keeps p99 within 1 ms"


def test_where_batching_does_not_pay_the_choice_says_so():
    points = [FakeServer().at(WITHOUT, 4)]
    choice = choose(points, PLAN.bound_ms)
    assert choice.best == choice.without
    assert "no batching serves most" in choice.reason


def noisy(gain: float, late: int = 0, plain_late: int = 0):
    """Measures both again: so many times as many requests with batching, each round 4 % off.

    Args:
        gain: of batching.
        late: rounds of six in which batching is beyond the bound.
        plain_late: rounds in which no batching is.
    """
    random = np.random.default_rng(3)

    def in_turn(chosen: BatchingPoint, plain: BatchingPoint):
        def at(point: BatchingPoint, rate: float, within: bool) -> BatchingPoint:
            rate *= float(np.exp(random.normal(0, 0.04)))
            return point.model_copy(update={"requests_per_second": rate, "within": within})

        return [
            (at(chosen, 1000 * gain, number >= late), at(plain, 1000, number >= plain_late))
            for number in range(6)
        ]

    return in_turn


def test_the_largest_of_many_noisy_points_is_no_gain_when_it_is_measured_again():
    """Thirty settings that serve alike: the luckiest looks better, and is not."""
    random = np.random.default_rng(5)
    points = [
        FakeServer().at(ServerBatching(rows, delay), 4).model_copy(
            update={"requests_per_second": 1000 * float(np.exp(random.normal(0, 0.1))), "within": True}
        )
        for rows in (1, 4, 16, 64, 128)
        for delay in range(6)
    ]  # fmt: skip
    lucky = choose(points, PLAN.bound_ms)
    assert lucky.best
    assert lucky.best.batch != 1
    choice = confirm(lucky, PLAN.bound_ms, noisy(1.0))
    assert "no gain over no batching that these runs can show" in choice.reason
    assert choice.gain_low is not None
    assert choice.gain_high is not None
    assert choice.gain_low < 1 < choice.gain_high


@pytest.fixture
def found() -> BatchingChoice:
    """Batch 64 without delay, before it is measured again."""
    return choose(sweep(FakeServer(), PLAN), PLAN.bound_ms)


def test_a_gain_that_is_there_is_said_with_its_interval_and_rounds_beyond_the_bound_too(found):
    choice = confirm(found, PLAN.bound_ms, noisy(1.5, late=2))
    assert choice.best == found.best
    assert choice.gain == pytest.approx(1.5, rel=0.1)
    assert "times as many as without (95 % interval)" in choice.reason
    assert "no gain" not in choice.reason
    assert "beyond the bound in 2 of 6 rounds" in choice.reason


@pytest.mark.parametrize(
    ("again", "words"),
    [
        (noisy(0.7), "and is slower when it is measured again: "),
        (noisy(1.5, late=6), "and is beyond the bound in 6 of 6 rounds when it is measured again"),
        (noisy(0.85, late=4), "and is beyond the bound in 4 of 6 rounds"),
    ],
)
def test_what_loses_when_it_is_measured_again_is_no_longer_the_choice(found, again, words):
    choice = confirm(found, PLAN.bound_ms, again)
    assert choice.best == choice.without == found.without
    assert choice.gain is choice.gain_low is choice.gain_high is None
    assert choice.reason.startswith("Fake: no batching serves")
    assert "; batch 64 with 0 ms delay looked best in the sweep, " in choice.reason
    assert words in choice.reason
    assert "serves most" not in choice.reason


def test_no_batching_is_no_choice_either_where_it_is_beyond_the_bound_itself(found):
    slower = confirm(found, PLAN.bound_ms, noisy(0.85, plain_late=6))
    assert slower.best == found.best
    assert "without batching it is beyond the bound in 6 of 6 rounds" in slower.reason
    neither = confirm(found, PLAN.bound_ms, noisy(1.5, late=6, plain_late=6))
    assert neither.best is None
    assert "batch 64 with 0 ms delay looked best in the sweep" in neither.reason
    assert "beyond the bound in 6 of 6 rounds" in neither.reason


def test_a_choice_that_cannot_be_measured_again_keeps_its_sweep_and_says_so(found):
    def fails(chosen: BatchingPoint, plain: BatchingPoint):
        raise PortInUse("Port 8501 is taken.", "Choose another port.")

    choice = confirm(found, PLAN.bound_ms, fails)
    assert (choice.best, choice.without, choice.gain) == (found.best, found.without, None)
    assert choice.reason.startswith(found.reason)
    assert "not measured again (PortInUse: Port 8501 is taken.)" in choice.reason
