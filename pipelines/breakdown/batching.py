"""Part: the servers' own batching. Which batch size and delay serve most within a latency bound?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np

from models.artifact import Manifest
from pipelines.breakdown.asking import P99_REQUESTS, target_of
from pipelines.breakdown.digests import served_digest
from pipelines.breakdown.facts import Batching, BatchingChoice, BatchingPoint
from pipelines.breakdown.servers import NAMES, Wanted, running
from pipelines.workspace import Workspace, log
from serving.batching import ServerBatching
from serving.endpoints import endpoints_of

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
        bound_ms: what the 99th percentile is held to.
    """

    rows: tuple[int, ...] = (4, 16, 64)
    delays_ms: tuple[int, ...] = (0, 1, 5)
    clients: tuple[int, ...] = (4, 16, 64)
    seconds: float = 2.0
    bound_ms: float = BOUND_MS

    @property
    def settings(self) -> list[ServerBatching]:
        """All of them, the one without batching first."""
        grid = [ServerBatching(rows, delay) for rows in self.rows for delay in self.delays_ms]
        return [WITHOUT, *grid]


FULL = SweepPlan()
QUICK = SweepPlan(rows=(8,), delays_ms=(0, 2), clients=(16,), seconds=0.5)

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

        mine = sweep(at, plan)
        points += mine
        choices.append(choose(mine, plan.bound_ms))
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
    if without and best.batch != 1:
        reason += f", {best.requests_per_second / without.requests_per_second:.2f} times as many as without"
    return BatchingChoice(server=server, best=best, without=without, reason=reason)


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
        points = []
        for count in clients:
            first = target.ask(count, seconds=plan.seconds)
            missing = P99_REQUESTS - len(first.latencies_ms)
            more = [target.ask(count, requests=missing)] if missing > 0 else []
            observed = [first, *more]
            times = [ms for each in observed for ms in each.latencies_ms]
            p50, p99 = np.percentile(times, (50, 99))
            wrong = sum(each.wrong for each in observed)
            points.append(
                BatchingPoint(
                    server=server.spec.label,
                    protocol="REST",
                    batch=setting.rows,
                    delay_ms=setting.delay_ms,
                    clients=count,
                    requests=len(times),
                    wrong=wrong,
                    requests_per_second=len(times) / sum(each.seconds for each in observed),
                    p50_ms=float(p50),
                    p99_ms=float(p99),
                    within=bool(p99 <= plan.bound_ms and not wrong),
                )
            )
        return points
