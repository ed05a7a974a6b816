"""How long runners take: all of one process side by side, in rounds, each held to be right first.

Latency counts numpy in and numpy out: what a caller waits for, conversions included.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any

import numpy as np

from models.contract import Contract, Tensors
from models.errors import TwinServeError
from models.parity import Tolerance, compare
from models.predictor import Predictor
from models.runner import MissingRunner, Runner
from models.turns import Turns

WARMUP_CALLS = 3
"""At each batch size, beside those of the comparison. TorchScript's executor profiles the first two."""

MIN_CALLS = 3
P90_CALLS = 44
"""Fewest calls for a 90th percentile with 99 % confidence: ``log(0.01) / log(0.9)``, rounded up; MLPerf's early
stopping asks the same of its percentiles (https://arxiv.org/abs/1911.02549, section IV-D)."""


@dataclass(frozen=True)
class TimingPlan:
    """How often and how long.

    Attributes:
        batches: rows a call.
        rounds: all runners take turns this often.
        seconds: how long one runner at one batch size is called in one round.
        max_calls: then it ends before that.
        threads: numbers of threads, for runners that can be told one.
        leave_out: by runner that is not timed, the reason.
        only: names of the runners that are timed; all of them for none.
    """

    batches: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64, 128, 256)
    rounds: int = 5
    seconds: float = 0.2
    max_calls: int = 200
    threads: tuple[int, ...] = (1, 2)
    leave_out: Mapping[str, str] = field(default_factory=dict)
    only: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> TimingPlan:
        lists = {name: tuple(stored[name]) for name in ("batches", "threads", "only")}
        return cls(**{**stored, **lists})


@dataclass(frozen=True)
class Expected:
    """Rows and their right answers.

    Attributes:
        contract: names them.
        inputs: each (N, ...).
        outputs: the in-memory model's, each (N, ...).
        labels: int (N,), the true classes.
        tolerance_of: what a runner of that name is held to.
    """

    contract: Contract
    inputs: Tensors
    outputs: Tensors
    labels: np.ndarray
    tolerance_of: Callable[[str], Tolerance]

    def batch(self, rows: int) -> dict[str, np.ndarray]:
        """So many rows; from the first again where there are fewer."""
        index = np.arange(rows) % len(self.labels)
        return {name: np.ascontiguousarray(array[index]) for name, array in self.inputs.items()}


@dataclass
class _Open:
    runner: Runner
    predictor: Predictor
    times_ms: dict[int, list[float]] = field(default_factory=dict)


def time_all(
    offered: Sequence[Runner | MissingRunner],
    expected: Expected,
    plan: TimingPlan,
    turns: Turns,
    report: Callable[[Mapping[str, Any]], None],
) -> dict[str, Any]:
    """Compare every runner's answers, then time those that are right.

    Args:
        offered: by the framework.
        expected: what is asked, and what the answers must be.
        plan: how often and how long.
        turns: with the other framework's process.
        report: told of every runner and every round.

    Returns:
        ``answers``, ``timings`` and ``absent``: rows for the report.
    """
    absent = [
        {"runner": each.name, "reason": plan.leave_out.get(each.name, _reason(each))}
        for each in offered
        if _is_asked(each, plan) and (each.name in plan.leave_out or _reason(each))
    ]
    chosen = [
        each
        for each in offered
        if isinstance(each, Runner) and _is_asked(each, plan) and each.name not in plan.leave_out
    ]
    with ExitStack() as stack:
        answers, right = [], []
        for runner in chosen:
            found, predictor = _examine(runner, expected, plan, stack)
            if predictor is None and runner.may_fail:
                absent.append({"runner": runner.name, "reason": found["detail"]})
                continue
            report({"runner": runner.name, "threads": runner.threads, **found})
            answers.append({"runner": runner.name, "threads": runner.threads, **found})
            right += [_Open(runner, predictor)] if predictor and found["right"] else []
        inputs = {size: expected.batch(size) for size in plan.batches}
        for each in right:
            for size in plan.batches:
                for _ in range(WARMUP_CALLS):
                    each.predictor.predict(inputs[size])
        turns.ready()
        for number in range(plan.rounds):
            turns.wait(number)
            # Another one begins each round, so that none always follows the same one.
            first = number % max(1, len(right))
            for each in right[first:] + right[:first]:
                for size in plan.batches:
                    each.times_ms.setdefault(size, []).extend(
                        _times_ms(each.predictor, inputs[size], plan)
                    )
            turns.done(number)
            report({"round": number + 1, "rounds": plan.rounds})
    return {"answers": answers, "timings": list(_timings(right)), "absent": absent}


def _is_asked(each: Runner | MissingRunner, plan: TimingPlan) -> bool:
    return not plan.only or each.name in plan.only


def _reason(each: Runner | MissingRunner) -> str:
    return each.reason if isinstance(each, MissingRunner) else ""


def _examine(
    runner: Runner, expected: Expected, plan: TimingPlan, stack: ExitStack
) -> tuple[dict[str, Any], Predictor | None]:
    """Whether its answers are right, and the open runner: None where it cannot answer."""
    try:
        predictor = stack.enter_context(runner.open())
        answered = _answer_in_turn(predictor, expected, plan.batches)
        parity = compare(
            expected.contract,
            expected.outputs,
            answered,
            expected.tolerance_of(runner.name),
            expected.labels,
        )
    except Exception as error:  # whatever a framework makes of it is a finding
        message = error.message if isinstance(error, TwinServeError) else str(error)
        detail = f"{type(error).__name__}: {message}"[:500]
        return {"rows": 0, "max_abs": None, "right": False, "detail": detail}, None
    detail = "" if parity.passed else f"{parity.worst_output} is beyond its tolerance"
    found = {
        "rows": parity.rows,
        "max_abs": parity.max_abs,
        "right": parity.passed,
        "detail": detail,
    }
    return found, predictor


def _answer_in_turn(
    predictor: Predictor, expected: Expected, sizes: Sequence[int]
) -> dict[str, np.ndarray]:
    """All rows, cut into batches of all sizes in turn, so that none is timed that was not compared."""
    parts, start, rows = [], 0, len(expected.labels)
    for size in cycle(sizes):
        cut = {name: array[start : start + size] for name, array in expected.inputs.items()}
        parts.append(predictor.predict(cut))
        start += size
        if start >= rows:
            break
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _times_ms(predictor: Predictor, inputs: Tensors, plan: TimingPlan) -> list[float]:
    times: list[float] = []
    end = time.perf_counter() + plan.seconds
    while len(times) < plan.max_calls and (len(times) < MIN_CALLS or time.perf_counter() < end):
        began = time.perf_counter()
        predictor.predict(inputs)
        times.append((time.perf_counter() - began) * 1000)
    return times


def _timings(right: Sequence[_Open]) -> Iterator[dict[str, Any]]:
    for each in right:
        for size, times in each.times_ms.items():
            p50, p90 = np.percentile(times, (50, 90))
            yield {
                "runner": each.runner.name,
                "threads": each.runner.threads,
                "batch": size,
                "calls": len(times),
                "p50_ms": float(p50),
                "p90_ms": float(p90) if len(times) >= P90_CALLS else None,
                "rows_per_second": size / float(p50) * 1000,
            }
