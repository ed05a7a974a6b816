"""Part: the servers' own batching. Which batch size and delay serve most within a latency bound?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np

from models.artifact import Manifest
from pipelines.breakdown.asking import P99_REQUESTS, Target, target_of
from pipelines.breakdown.choosing import choose, confirm
from pipelines.breakdown.digests import served_digest
from pipelines.breakdown.facts import Batching, BatchingChoice, BatchingPoint
from pipelines.breakdown.servers import NAMES, Wanted, running
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
