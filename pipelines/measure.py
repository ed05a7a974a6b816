"""Stage: what each server costs: time to readiness, memory, latency, throughput."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from models.arrays import write_arrays
from models.artifact import Manifest, digest_of_files, digest_of_parts
from models.errors import ServerNotReady
from models.parent import lifeline
from pipelines.facts import (
    Check,
    LatencyFacts,
    Measurements,
    Outcome,
    ServerFacts,
    ThroughputFacts,
)
from pipelines.hardware import hardware
from pipelines.reference import Reference
from pipelines.serve import StartedServers
from pipelines.settings import PROJECT
from pipelines.workspace import Workspace, log
from serving.endpoints import FRAMEWORK_OF, PROTOCOLS, endpoints_of
from serving.load.job import LoadJob, LoadPlan, LoadTarget
from serving.server import Server

ROWS = 64
"""Different rows that the load consists of."""


def measurement_digest(manifest: Manifest, servers: StartedServers, plan: LoadPlan) -> str:
    """Digest of what the figures depend on: files, servers, load, machine."""
    return digest_of_parts(
        sorted(artifact.sha256 for artifact in manifest.artifacts),
        [(server.spec.label, server.where, server.memory_kind) for server in servers.servers],
        plan,
        digest_of_files((PROJECT / "serving").rglob("*.py")),
        sorted(hardware().items()),
    )


def measure(
    space: Workspace, manifest: Manifest, started: StartedServers, plan: LoadPlan
) -> Measurements:
    """Load both servers in turn, in one run, from one process of its own.

    Raises:
        ServerNotReady: the load generator failed or took too long.
    """
    idle = {server.spec.name: server.resident_bytes() for server in started.servers}
    worked = {server.spec.name: server.cpu_seconds() for server in started.servers}
    log.info(f"Measure: {', '.join(map(str, plan.clients))} clients, {plan.rounds} rounds in turn")
    rows = _run_load(space, manifest, started.servers, plan)
    worked = {s.spec.name: s.cpu_seconds() - worked[s.spec.name] for s in started.servers}
    latency = [LatencyFacts(**row) for row in _of_kind(rows, "latency")]
    throughput = [ThroughputFacts(**row) for row in _of_kind(rows, "throughput")]
    answers = _answers([*latency, *throughput], plan)
    return Measurements(
        measured=datetime.now(UTC),
        servers=[
            _server_facts(server, started, idle, worked, answers) for server in started.servers
        ],
        latency=latency,
        throughput=throughput,
    )


def _answers(rows: Sequence[LatencyFacts | ThroughputFacts], plan: LoadPlan) -> Counter[str]:
    """How many requests each server was sent, by its label, those of the warm-up included."""
    found: Counter[str] = Counter()
    for row in rows:
        found[row.server] += row.requests
    for server in list(found):
        found[server] += plan.warmup_requests * len(PROTOCOLS)
    return found


def judge_measurements(found: Measurements) -> list[Check]:
    """Every benchmark answer must have been right; a wrong one voids its figure."""
    checks = []
    titles = dict.fromkeys((row.server, row.protocol) for row in found.latency)
    for server, protocol in titles:
        seen: list[LatencyFacts | ThroughputFacts] = [*found.latency, *found.throughput]
        mine = [row for row in seen if (row.server, row.protocol) == (server, protocol)]
        wrong, total = sum(row.wrong for row in mine), sum(row.requests for row in mine)
        checks.append(
            Check(
                stage="measure",
                subject=f"{server} · {protocol}",
                question="Every answer under load is right",
                outcome=Outcome.FAIL if wrong else Outcome.PASS,
                figure=f"{wrong:,} wrong of {total:,}",
                limit="0 wrong",
            )
        )
    return checks


def _run_load(
    space: Workspace, manifest: Manifest, servers: Sequence[Server], plan: LoadPlan
) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory(prefix="twinserve-load-") as scratch:
        targets = [
            LoadTarget(endpoint, _write_rows(space, manifest, endpoint.server, Path(scratch)))
            for server in servers
            for endpoint in endpoints_of(server.spec)
        ]
        folders = tuple(str(folder) for folder in space.settings.case_folders)
        job = Path(scratch, "job.json")
        LoadJob(space.case.name, folders, tuple(targets), plan).write(job)
        try:
            with lifeline() as standard_input:
                done = subprocess.run(
                    [sys.executable, "-m", "serving.load", str(job)],
                    cwd=PROJECT,
                    stdin=standard_input,
                    capture_output=True,
                    text=True,
                    timeout=plan.timeout_seconds,
                    check=False,
                )
        except subprocess.TimeoutExpired as error:
            raise ServerNotReady(
                f"The load generator was not done after {plan.timeout_seconds:.0f} s."
            ) from error
    if done.returncode:
        raise ServerNotReady("The load generator failed.", done.stderr[-2000:])
    return [json.loads(line) for line in done.stdout.splitlines()]


def _write_rows(space: Workspace, manifest: Manifest, server: str, scratch: Path) -> Path:
    reference = Reference.of(space, FRAMEWORK_OF[server], manifest)
    rows = reference.split.rows(slice(0, ROWS))
    path = scratch / f"{server}.npz"
    inputs = {f"inputs/{name}": array for name, array in rows.inputs.items()}
    expected = {f"expected/{name}": array[:ROWS] for name, array in reference.test.items()}
    write_arrays(path, inputs | expected)
    return path


def _server_facts(
    server: Server,
    started: StartedServers,
    idle: Mapping[str, int],
    worked: Mapping[str, float],
    answers: Mapping[str, int],
) -> ServerFacts:
    spec = server.spec
    asked = answers.get(spec.label, 0)
    return ServerFacts(
        name=spec.name,
        label=spec.label,
        framework=FRAMEWORK_OF[spec.name],
        where=server.where,
        ready_seconds=started.ready_seconds[spec.name],
        idle_bytes=idle[spec.name],
        loaded_bytes=server.resident_bytes(),
        memory_kind=server.memory_kind,
        cpu_ms_per_answer=worked[spec.name] * 1000 / asked if asked else None,
    )


def _of_kind(rows: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    left_out = ("kind", "problem")
    return [
        {name: value for name, value in row.items() if name not in left_out}
        for row in rows
        if row["kind"] == kind
    ]
