"""Part: the servers' own batching. Which batch size and delay serve most within a latency bound?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np

from models.artifact import Manifest
from pipelines.breakdown.asking import P99_REQUESTS, Target, target_of
from pipelines.breakdown.digests import served_digest
from pipelines.breakdown.facts import Batching, BatchingChoice, BatchingPoint
from pipelines.breakdown.servers import NAMES, Wanted, running
from pipelines.measuring.intervals import interval_of
from pipelines.workspace import Workspace, log
from serving.batching import ServerBatching
from serving.endpoints import endpoints_of
from serving.load.early_stopping import estimate

WITHOUT = ServerBatching(rows=1, delay_ms=0)
WARMUP_REQUESTS = 200
BOUND_MS = 50.0


@dataclass(frozen=True)
class SweepPlan:
    """What is tried.

    Attributes:
        rows: batch sizes, rising.
        delays_ms: rising.
        clients: closed-loop clients, rising; a batch larger than their number never fills.
        seconds: of each point, and on until there are enough requests for a 99th percentile.
        bound_ms: what the 99th percentile, as early stopping estimates it, is held to.
        rounds: of the best setting and none at all, in turn, after the sweep.
    """

    rows: tuple[int, ...] = (4, 16, 64)
    delays_ms: tuple[int, ...] = (0, 1, 5)
    clients: tuple[int, ...] = (4, 16, 64)
    seconds: float = 2.0
    bound_ms: float = BOUND_MS
    rounds: int = 6

    @property
    def settings(self) -> list[ServerBatching]:
        """All of them, the one without batching first."""
        grid = [ServerBatching(rows, delay) for rows in self.rows for delay in self.delays_ms]
        return [WITHOUT, *grid]


FULL = SweepPlan()
QUICK = SweepPlan(rows=(8,), delays_ms=(0, 2), clients=(16,), seconds=0.5, rounds=3)

Measure = Callable[[ServerBatching, Sequence[int]], list[BatchingPoint]]
"""One setting under each number of clients."""
InTurn = Callable[[BatchingPoint, BatchingPoint], Sequence[tuple[BatchingPoint, BatchingPoint]]]
"""Two points, measured again in turn, several times."""
GAIN_SEED = 20_261_127


def measure_batching(space: Workspace, manifest: Manifest, plan: SweepPlan) -> Batching:
    """Sweep both servers, one after the other, as processes, over REST.

    Raises:
        ServerError: a server did not get ready.
    """
    points: list[BatchingPoint] = []
    choices: list[BatchingChoice] = []
    for name in NAMES:

        def at(
            setting: ServerBatching, clients: Sequence[int], name: str = name
        ) -> list[BatchingPoint]:
            return _measure(space, manifest, name, setting, clients, plan)

        def in_turn(
            chosen: BatchingPoint, plain: BatchingPoint, name: str = name
        ) -> list[tuple[BatchingPoint, BatchingPoint]]:
            return _measure_in_turn(space, manifest, name, (chosen, plain), plan)

        mine = sweep(at, plan)
        points += mine
        choices.append(confirm(choose(mine, plan.bound_ms), plan.bound_ms, in_turn))
        log.info(f"Batching: {choices[-1].reason}")
    return Batching(
        measured=datetime.now(UTC),
        quick=replace(plan, bound_ms=FULL.bound_ms) != FULL,
        digest=served_digest(space, manifest, plan),
        bound_ms=plan.bound_ms,
        points=points,
        choices=choices,
    )


def sweep(measure: Measure, plan: SweepPlan) -> list[BatchingPoint]:
    """Every setting that can still be within the bound.

    A longer delay only adds to a latency that is beyond the bound for the fewest clients already, so the longer
    ones of that batch size are left out.
    """
    points: list[BatchingPoint] = []
    hopeless: set[int] = set()
    for number, setting in enumerate(plan.settings):
        if setting.rows in hopeless:
            continue
        found = measure(setting, plan.clients)
        points += found
        log.info(
            f"Batching: {number + 1} of {len(plan.settings)}: {found[0].server}, batch {setting.rows}, "
            f"delay {setting.delay_ms} ms: up to "
            f"{max(each.requests_per_second for each in found):,.0f} requests/s"
        )
        if setting != WITHOUT and not any(each.within for each in found):
            hopeless.add(setting.rows)
    return points


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
    named = (
        "no batching" if best.batch == 1 else f"batch {best.batch} with {best.delay_ms:g} ms delay"
    )
    reason = (
        f"{server}: {named} serves most within {bound_ms:g} ms at p99, "
        f"{best.requests_per_second:,.0f} requests/s with {best.clients} clients"
    )
    if without is None:
        reason += "; without batching nothing keeps within it"
    return BatchingChoice(server=server, best=best, without=without, reason=reason)


def confirm(choice: BatchingChoice, bound_ms: float, in_turn: InTurn) -> BatchingChoice:
    """The choice, measured again beside no batching: the largest of many noisy points is too large.

    Args:
        choice: of the sweep.
        bound_ms: what the 99th percentile is held to, in every round.
        in_turn: measures both, several times.
    """
    best, without = choice.best, choice.without
    if not best or not without or best.batch == 1:
        return choice
    rounds = in_turn(best, without)
    gain = interval_of(
        [chosen.requests_per_second for chosen, _ in rounds],
        [plain.requests_per_second for _, plain in rounds],
        GAIN_SEED,
    )
    if gain is None:
        return choice
    late = sum(not chosen.within for chosen, _ in rounds)
    said = f"{gain.low:.2f} to {gain.high:.2f} times as many as without (95 % interval)"
    if gain.low <= 1 <= gain.high:
        said = f"no gain over no batching that these runs can show ({said})"
    if late:
        said += f"; beyond the bound in {late} of {len(rounds)} rounds when it was measured again"
    return choice.model_copy(
        update={
            "gain": gain.ratio,
            "gain_low": gain.low,
            "gain_high": gain.high,
            "reason": f"{choice.reason}; {said}",
        }
    )


def _fastest(points: Sequence[BatchingPoint]) -> BatchingPoint | None:
    within = [each for each in points if each.within]
    return max(within, key=lambda each: each.requests_per_second, default=None)


def _measure(
    space: Workspace,
    manifest: Manifest,
    name: str,
    setting: ServerBatching,
    clients: Sequence[int],
    plan: SweepPlan,
) -> list[BatchingPoint]:
    batching = None if setting == WITHOUT else setting
    wanted = Wanted(manifest, batching=batching, names=(name,), as_processes=True)
    with running(space, wanted, "batching") as (server,):
        rest = endpoints_of(server.spec)[0]
        target = target_of(space, manifest, rest)
        target.ask(max(clients), requests=WARMUP_REQUESTS)
        return [_point(target, server.spec.label, setting, count, plan) for count in clients]


def _measure_in_turn(
    space: Workspace,
    manifest: Manifest,
    name: str,
    points: tuple[BatchingPoint, BatchingPoint],
    plan: SweepPlan,
) -> list[tuple[BatchingPoint, BatchingPoint]]:
    """A server with batching and one without, side by side, asked one after the other."""
    settings = [ServerBatching(each.batch, int(each.delay_ms)) for each in points]
    wanted = [
        Wanted(
            manifest,
            batching=None if setting == WITHOUT else setting,
            names=(name,),
            as_processes=True,
        )
        for setting in settings
    ]
    with (
        running(space, wanted[0], "batching") as (chosen,),
        running(space, wanted[1], "plain") as (plain,),
    ):
        targets = [
            target_of(space, manifest, endpoints_of(server.spec)[0]) for server in (chosen, plain)
        ]
        for target, point in zip(targets, points, strict=True):
            target.ask(point.clients, requests=WARMUP_REQUESTS)
        rounds = []
        for number in range(plan.rounds):
            first, second = (
                _point(target, chosen.spec.label, setting, point.clients, plan)
                for target, setting, point in zip(targets, settings, points, strict=True)
            )
            rounds.append((first, second))
            log.info(f"Batching: {chosen.spec.label}, again in turn: {number + 1} of {plan.rounds}")
        return rounds


def _point(
    target: Target, label: str, setting: ServerBatching, clients: int, plan: SweepPlan
) -> BatchingPoint:
    first = target.ask(clients, seconds=plan.seconds)
    missing = P99_REQUESTS - len(first.latencies_ms)
    more = [target.ask(clients, requests=missing)] if missing > 0 else []
    observed = [first, *more]
    times = np.concatenate([each.latencies_ms for each in observed])
    p99 = estimate(times, 0.99)
    wrong = sum(each.wrong for each in observed)
    return BatchingPoint(
        server=label,
        protocol="REST",
        batch=setting.rows,
        delay_ms=setting.delay_ms,
        clients=clients,
        requests=len(times),
        wrong=wrong,
        requests_per_second=len(times) / sum(each.seconds for each in observed),
        p50_ms=float(np.median(times)),
        p99_ms=p99[0] if p99 else None,
        p99_at_most_ms=p99[1] if p99 else None,
        within=bool(p99 and p99[1] <= plan.bound_ms and not wrong),
    )
