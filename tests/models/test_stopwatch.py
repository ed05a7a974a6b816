"""Runners side by side: no figure for a wrong answer, none without a reason, and rounds in turn."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.contract import Contract, Tensors, TensorSpec
from models.parity import Tolerance
from models.predictor import Closing, Predictor, Signature
from models.runner import MissingRunner, Runner
from models.stopwatch import P90_CALLS, Expected, TimingPlan, time_all
from models.turns import Turns

ROWS = 40
CONTRACT = Contract(
    inputs=(TensorSpec("x", "float32", (2,)),),
    outputs=(TensorSpec("y", "float32", (2,)),),
    labels=("a", "b"),
    scores="y",
    logits="y",
)
X = np.random.default_rng(5).random((ROWS, 2), np.float32)
EXPECTED = Expected(CONTRACT, {"x": X}, {"y": X * 2}, X.argmax(1), lambda _: Tolerance(atol=1e-4))
PLAN = TimingPlan(batches=(1, 4, 64), rounds=3, seconds=0.0)


class Doubling(Closing):
    """Answers twice what it is asked; ``off`` is added to rows of batches of that size."""

    def __init__(self, log: list[tuple[str, int]], name: str, off_at: int = 0) -> None:
        self.log, self.name, self.off_at = log, name, off_at

    def signature(self) -> Signature:
        return Signature((), ())

    def predict(self, inputs: Tensors) -> dict[str, np.ndarray]:
        rows = inputs["x"]
        self.log.append((self.name, len(rows)))
        return {"y": rows * 2 + (0.1 if len(rows) == self.off_at else 0)}


Timed = Callable[..., dict[str, Any]]


@pytest.fixture
def timed(tmp_path: Path) -> Timed:
    def run(offered: list[Any], plan: TimingPlan = PLAN) -> dict[str, Any]:
        turns = Turns(tmp_path, ("alone",), "alone")
        return time_all(offered, EXPECTED, plan, turns, lambda _: None)

    return run


def runner(name: str, log: list[tuple[str, int]], off_at: int = 0) -> Runner:
    return Runner(name, 1, lambda: Doubling(log, name, off_at))


@pytest.mark.parametrize("off_at", [1, 4])
def test_a_runner_that_answers_wrongly_at_one_batch_size_gets_no_figure_at_any(timed, off_at):
    found = timed([runner("right", []), runner("wrong", [], off_at)])
    assert [each["right"] for each in found["answers"]] == [True, False]
    assert found["answers"][1]["max_abs"] == pytest.approx(0.1, abs=1e-5)
    assert "y is beyond its tolerance" in found["answers"][1]["detail"]
    assert {each["runner"] for each in found["timings"]} == {"right"}


def test_a_runner_that_fails_gets_no_figure_and_its_error_is_named(timed):
    def broken() -> Predictor:
        raise RuntimeError("no such operator")

    found = timed([Runner("broken", 1, broken), runner("right", [])])
    assert found["answers"][0] == {
        "runner": "broken",
        "threads": 1,
        "rows": 0,
        "max_abs": None,
        "right": False,
        "detail": "RuntimeError: no such operator",
    }
    assert {each["runner"] for each in found["timings"]} == {"right"}


def test_what_is_not_there_stands_in_the_table_with_its_reason(timed):
    def no_compiler() -> Predictor:
        raise RuntimeError("the compiler crashed")

    found = timed(
        [
            runner("right", []),
            MissingRunner("missing", "nobody has written it"),
            Runner("compiled", 1, no_compiler, may_fail=True),
            runner("slow", []),
        ],
        TimingPlan(batches=(1,), rounds=1, seconds=0.0, leave_out={"slow": "it takes too long"}),
    )
    assert found["absent"] == [
        {"runner": "missing", "reason": "nobody has written it"},
        {"runner": "slow", "reason": "it takes too long"},
        {"runner": "compiled", "reason": "RuntimeError: the compiler crashed"},
    ]
    assert {each["runner"] for each in found["answers"]} == {"right"}


def test_every_timed_batch_size_was_compared_and_runners_take_turns_in_rounds(timed):
    log: list[tuple[str, int]] = []
    found = timed([runner("a", log), runner("b", log)])
    compared = log[: log.index(("b", 1))]
    assert [size for _, size in compared] == [1, 4, 35]  # 40 rows: the last batch is what is left
    timed_calls = log[-2 * 3 * 3 * PLAN.rounds :]
    order = [name for name, _ in timed_calls[:: 3 * 3]]  # three calls at each of three batch sizes
    assert order == ["a", "b", "b", "a", "a", "b"]
    assert [each["calls"] for each in found["timings"]] == [9] * 6


def test_a_90th_percentile_needs_its_number_of_calls(timed):
    few = timed([runner("a", [])], TimingPlan(batches=(1,), rounds=1, seconds=0.0))
    assert few["timings"][0]["p90_ms"] is None
    many = TimingPlan(batches=(1,), rounds=1, seconds=60.0, max_calls=P90_CALLS)
    (row,) = timed([runner("a", [])], many)["timings"]
    assert row["calls"] == P90_CALLS
    assert row["p90_ms"] >= row["p50_ms"] > 0
    assert row["rows_per_second"] == pytest.approx(1000 / row["p50_ms"])


def test_where_every_runner_is_wrong_there_is_no_figure_at_all(timed):
    found = timed([runner("wrong", [], off_at=1)])
    assert found["timings"] == []
