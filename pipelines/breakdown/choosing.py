"""Which setting of a server's batching is the choice, and whether it is still when it is measured again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from models.errors import TwinServeError
from pipelines.breakdown.facts import BatchingChoice, BatchingPoint
from pipelines.measuring.intervals import Interval, interval_of

InTurn = Callable[[BatchingPoint, BatchingPoint], Sequence[tuple[BatchingPoint, BatchingPoint]]]
"""Two points, measured again in turn, several times."""
GAIN_SEED = 20_261_127


def choose(points: Sequence[BatchingPoint], bound_ms: float) -> BatchingChoice:
    """The point of one server with the highest throughput within the bound.

    Args:
        points: of one server, at least one.
        bound_ms: what they were held to, for the words.
    """
    server = points[0].server
    best = _fastest(points)
    without = _fastest([each for each in points if each.batch == 1])
    if best is None:
        reason = f"{server}: no setting keeps p99 within {bound_ms:g} ms"
        return BatchingChoice(server=server, best=None, without=without, reason=reason)
    reason = (
        f"{server}: {_named(best)} serves most within {bound_ms:g} ms at p99, "
        f"{best.requests_per_second:,.0f} requests/s with {best.clients} clients"
    )
    if without is None:
        reason += "; without batching nothing keeps within it"
    return BatchingChoice(server=server, best=best, without=without, reason=reason)


def confirm(choice: BatchingChoice, bound_ms: float, in_turn: InTurn) -> BatchingChoice:
    """The choice, measured again beside no batching: the largest of many noisy points is too large.

    What is slower then, or beyond the bound in most rounds, is not the choice any more: no batching is, unless
    that is beyond the bound itself. Where it cannot be measured again, the sweep's choice stays, and says so.

    Args:
        choice: of the sweep.
        bound_ms: what the 99th percentile is held to, in every round.
        in_turn: measures both, several times.
    """
    best, without = choice.best, choice.without
    if not best or not without or best.batch == 1:
        return choice
    try:
        rounds = in_turn(best, without)
    except TwinServeError as error:
        failed = f"not measured again ({type(error).__name__}: {error.message})"
        return choice.model_copy(update={"reason": f"{choice.reason}; {failed}"})
    chosen, plain = [each for each, _ in rounds], [each for _, each in rounds]
    gain = interval_of(
        [each.requests_per_second for each in chosen],
        [each.requests_per_second for each in plain],
        GAIN_SEED,
    )
    if gain is None:
        return choice
    if _is_late(chosen) or (gain.high < 1 and not _is_late(plain)):
        return choice.model_copy(update=_lost(best, without, bound_ms, gain, chosen, plain))
    said = _times(gain)
    if gain.low <= 1 <= gain.high:
        said = f"no gain over no batching that these runs can show ({said})"
    for side, which in ((chosen, ""), (plain, "without batching it is ")):
        if _late(side):
            said += f"; {which}{_beyond(side)} when it was measured again"
    return choice.model_copy(
        update={
            "gain": gain.ratio,
            "gain_low": gain.low,
            "gain_high": gain.high,
            "reason": f"{choice.reason}; {said}",
        }
    )


def _lost(
    best: BatchingPoint,
    without: BatchingPoint,
    bound_ms: float,
    gain: Interval,
    chosen: Sequence[BatchingPoint],
    plain: Sequence[BatchingPoint],
) -> dict[str, Any]:
    """What changes in the choice."""
    looked = f"{_named(best)} looked best in the sweep, and is "
    if _is_late(chosen):
        looked += f"{_beyond(chosen)} when it is measured again"
    else:
        looked += f"slower when it is measured again: {_times(gain)}"
    if _is_late(plain):
        reason = f"{best.server}: {looked}; without batching it is {_beyond(plain)}"
        return {"best": None, "reason": reason}
    serves = (
        f"{best.server}: no batching serves {without.requests_per_second:,.0f} requests/s within "
        f"{bound_ms:g} ms at p99 with {without.clients} clients"
    )
    return {"best": without, "reason": f"{serves}; {looked}"}


def _fastest(points: Sequence[BatchingPoint]) -> BatchingPoint | None:
    within = [each for each in points if each.within]
    return max(within, key=lambda each: each.requests_per_second, default=None)


def _named(point: BatchingPoint) -> str:
    if point.batch == 1:
        return "no batching"
    return f"batch {point.batch} with {point.delay_ms:g} ms delay"


def _times(gain: Interval) -> str:
    return f"{gain.low:.2f} to {gain.high:.2f} times as many as without (95 % interval)"


def _late(rounds: Sequence[BatchingPoint]) -> int:
    return sum(not each.within for each in rounds)


def _is_late(rounds: Sequence[BatchingPoint]) -> bool:
    """In most of them."""
    return _late(rounds) > len(rounds) / 2


def _beyond(rounds: Sequence[BatchingPoint]) -> str:
    return f"beyond the bound in {_late(rounds)} of {len(rounds)} rounds"
