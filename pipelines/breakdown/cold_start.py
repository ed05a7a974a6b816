"""Part: a server from nothing to its first correct answer: process, model, answer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median

from models.artifact import Manifest
from pipelines.breakdown.digests import served_digest
from pipelines.breakdown.facts import ColdStart, ColdStartRow
from pipelines.breakdown.servers import NAMES, Wanted, prepared
from pipelines.serve import StartedServers, start_once
from pipelines.workspace import Workspace, log
from serving.starting import StartSeconds


@dataclass(frozen=True)
class ColdStartPlan:
    """How often each server is started, alone, in turn with the other."""

    repeats: int = 5


FULL, QUICK = ColdStartPlan(), ColdStartPlan(repeats=1)


def measure_cold_start(space: Workspace, manifest: Manifest, plan: ColdStartPlan) -> ColdStart:
    """Start each server alone, again and again, until it has answered correctly.

    What the system keeps of files in memory is kept: only the first start after a boot is colder.

    Raises:
        ServerError: one did not get ready.
    """
    starts: dict[str, list[StartSeconds]] = defaultdict(list)
    seen: dict[str, tuple[str, str]] = {}
    for number in range(plan.repeats):
        for name in NAMES:
            with prepared(space, Wanted(manifest, names=(name,)), "start") as (server,):
                start, _ = start_once(space, manifest, server)
                seen[name] = server.spec.label, server.where
            starts[name].append(start)
            log.info(
                f"Cold start: {number + 1} of {plan.repeats}: {seen[name][0]} answers after "
                f"{start.total:.1f} s"
            )
    return ColdStart(
        measured=datetime.now(UTC),
        quick=plan != FULL,
        digest=served_digest(space, manifest, plan),
        alone=True,
        rows=[_row(*seen[name], starts[name]) for name in NAMES],
    )


def observed_cold_start(space: Workspace, manifest: Manifest, started: StartedServers) -> ColdStart:
    """The one start of a run, which it makes anyway: both servers at once."""
    return ColdStart(
        measured=datetime.now(UTC),
        quick=True,
        digest=served_digest(space, manifest, QUICK),
        alone=False,
        rows=[
            _row(server.spec.label, server.where, [started.starts[server.spec.name]])
            for server in started.servers
        ],
    )


def _row(label: str, where: str, starts: Sequence[StartSeconds]) -> ColdStartRow:
    process = [start.process for start in starts if start.process is not None]
    return ColdStartRow(
        server=label,
        where=where,
        repeats=len(starts),
        process_seconds=median(process) if len(process) == len(starts) else None,
        load_seconds=median(start.load for start in starts),
        first_answer_seconds=median(start.first_answer for start in starts),
        total_seconds=median(start.total for start in starts),
    )
