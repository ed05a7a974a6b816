"""Part: what a server and its protocols add to the model, by a model that computes nothing."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from models.artifact import Manifest
from models.stopwatch import TimingPlan
from pipelines.breakdown.asking import Target, target_of
from pipelines.breakdown.digests import served_digest
from pipelines.breakdown.facts import InProcess, Overhead, OverheadRow
from pipelines.breakdown.in_process import measure_in_process
from pipelines.breakdown.noop import export_noop
from pipelines.breakdown.servers import Wanted, running
from pipelines.workspace import Workspace, log
from serving.endpoints import endpoints_of
from serving.load.closed_loop import Observed
from serving.server import Server

FILES = {"tfserving": "SavedModel", "torchserve": "TorchScript"}
"""By server: the runner in-process of what it serves."""

REAL, NOOP = "real", "noop"
WARMUP_REQUESTS = 50


@dataclass(frozen=True)
class OverheadPlan:
    """How often: in each round, every endpoint gets so many requests for either model, in turn."""

    rounds: int = 10
    requests: int = 200


FULL, QUICK = OverheadPlan(), OverheadPlan(rounds=3, requests=50)

Seen = dict[tuple[str, str, str], list[Observed]]
"""By server name, protocol and model."""


def measure_overhead(space: Workspace, manifest: Manifest, plan: OverheadPlan) -> Overhead:
    """The real model and the no-op on the same kind of server, side by side, and the real one in-process.

    Raises:
        ServerError: a server did not get ready.
        WorkerError: a framework's process failed.
    """
    log.info("Overhead: the served files in-process")
    timing = TimingPlan(batches=(1,), rounds=plan.rounds, only=tuple(FILES.values()))
    alone = measure_in_process(space, manifest, timing)
    with tempfile.TemporaryDirectory(prefix="twinserve-noop-") as folder:
        log.info("Overhead: a model that computes nothing, for both servers")
        noop, answer = export_noop(space, manifest, Path(folder))
        with (
            running(space, Wanted(manifest), REAL) as real_servers,
            running(space, Wanted(noop, Path(folder)), NOOP) as noop_servers,
        ):
            targets = {
                (endpoint.server, endpoint.protocol, model): target_of(
                    space, manifest, endpoint, given
                )
                for model, servers, given in (
                    (REAL, real_servers, None),
                    (NOOP, noop_servers, answer),
                )
                for server in servers
                for endpoint in endpoints_of(server.spec)
            }
            seen = _ask_in_turn(targets, plan)
            rows = _rows(real_servers, targets, seen, alone)
    return Overhead(
        measured=datetime.now(UTC),
        quick=plan != FULL,
        digest=served_digest(space, manifest, plan),
        rows=rows,
    )


def _ask_in_turn(targets: Mapping[tuple[str, str, str], Target], plan: OverheadPlan) -> Seen:
    for target in targets.values():
        target.ask(1, requests=WARMUP_REQUESTS)
    seen: Seen = defaultdict(list)
    for number in range(plan.rounds):
        for key, target in targets.items():
            seen[key].append(target.ask(1, requests=plan.requests))
        log.info(f"Overhead: round {number + 1} of {plan.rounds}")
    return seen


def _rows(
    servers: Sequence[Server],
    targets: Mapping[tuple[str, str, str], Target],
    seen: Seen,
    alone: InProcess,
) -> list[OverheadRow]:
    rows = []
    for spec in (server.spec for server in servers):
        model_ms = next(each.p50_ms for each in alone.timings if each.runner == FILES[spec.name])
        noop = {p: _median_ms(seen[spec.name, p, NOOP]) for p in ("REST", "gRPC")}
        for endpoint in endpoints_of(spec):
            both = [seen[spec.name, endpoint.protocol, model] for model in (REAL, NOOP)]
            served_ms, noop_ms = _median_ms(both[0]), noop[endpoint.protocol]
            rows.append(
                OverheadRow(
                    server=spec.label,
                    protocol="REST" if endpoint.protocol == "REST" else "gRPC",
                    requests=sum(each.total for each in both[0]),
                    wrong=sum(each.wrong for observed in both for each in observed),
                    request_bytes=len(targets[spec.name, endpoint.protocol, REAL].calls[0].body),
                    served_ms=served_ms,
                    noop_ms=noop_ms,
                    model_ms=model_ms,
                    server_ms=min(noop.values()),
                    protocol_ms=noop_ms - min(noop.values()),
                    rest_ms=served_ms - noop_ms - model_ms,
                )
            )
    return rows


def _median_ms(observed: Sequence[Observed]) -> float:
    return float(np.median(np.concatenate([each.latencies_ms for each in observed])))
