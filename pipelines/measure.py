"""Stage: what each server costs: time to readiness, memory, latency, throughput."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from models.arrays import write_arrays
from models.artifact import Manifest, digest_of_files, digest_of_parts
from pipelines.facts import (
    Check,
    LoadedFacts,
    Measurements,
    Outcome,
    ServerFacts,
)
from pipelines.hardware import hardware
from pipelines.measuring.findings import Told
from pipelines.measuring.running import run_load
from pipelines.reference import Reference
from pipelines.serve import StartedServers
from pipelines.settings import PROJECT
from pipelines.workspace import Workspace, log
from serving.endpoints import FRAMEWORK_OF, PROTOCOLS, endpoints_of
from serving.load.job import LoadJob, LoadPlan, LoadTarget
from serving.server import Server

ROWS = 64
"""Different rows that the load consists of."""


def measurement_digest(
    manifest: Manifest, servers: StartedServers, how: LoadPlan | datetime
) -> str:
    """Digest of what the figures depend on: files, servers, machine, and how they are measured.

    Args:
        manifest: names the files.
        servers: that are measured.
        how: the plan, or when the measurement was made that is taken instead.
    """
    return digest_of_parts(
        sorted(artifact.sha256 for artifact in manifest.artifacts),
        [(server.spec.label, server.where, server.memory_kind) for server in servers.servers],
        how,
        digest_of_files((PROJECT / "serving").rglob("*.py")),
        digest_of_files((PROJECT / "pipelines/measuring").rglob("*.py")),
        sorted(hardware().items()),
    )


def kept_measurement(
    space: Workspace, manifest: Manifest, started: StartedServers
) -> Measurements | None:
    """What `make measure` has kept of exactly these files, servers and this machine; None without it.

    One that is SHORT is marked so wherever it is shown, and still longer than what the flow would measure.
    """
    try:
        kept = Measurements.model_validate_json(
            space.facts_path(manifest.version, "measure").read_text()
        )
    except (OSError, ValidationError):
        return None
    if not kept.load or kept.load.quick:
        return None
    plan = LoadPlan.full(round(kept.load.seconds_per_scenario, 6))
    return kept if kept.digest == measurement_digest(manifest, started, plan) else None


def measure(
    space: Workspace,
    manifest: Manifest,
    started: StartedServers,
    plan: LoadPlan,
    kept: Measurements | None = None,
) -> Measurements:
    """Load both servers in turn, in one run, from one process of its own.

    Args:
        space: the case.
        manifest: the version that is served.
        started: the servers.
        plan: how hard and how long.
        kept: an earlier measurement that is taken instead.

    Raises:
        ServerNotReady: the load generator failed or took too long.
    """
    if kept:
        log.info(f"Measure: the full measurement of {kept.measured:%Y-%m-%d %H:%M} UTC is kept")
        return kept
    idle = {server.spec.name: server.resident_bytes() for server in started.servers}
    worked = {server.spec.name: server.cpu_seconds() for server in started.servers}
    with tempfile.TemporaryDirectory(prefix="twinserve-load-") as scratch:
        told = _load(space, manifest, started.servers, plan, Path(scratch))
        worked = {s.spec.name: s.cpu_seconds() - worked[s.spec.name] for s in started.servers}
        load = told.facts()
        answers = told.answers()
    return Measurements(
        measured=datetime.now(UTC),
        digest=measurement_digest(manifest, started, plan),
        servers=[
            _server_facts(server, started, idle, worked, answers) for server in started.servers
        ],
        load=load,
    )


def judge_measurements(found: Measurements) -> list[Check]:
    """Every answer under load must have been right; a wrong one voids its figures."""
    rows = found.load.rows if found.load else []
    titles = dict.fromkeys((row.server, row.protocol) for row in rows)
    return [_judged(server, protocol, rows) for server, protocol in titles]


def _judged(server: str, protocol: str, rows: Sequence[LoadedFacts]) -> Check:
    mine = [row for row in rows if (row.server, row.protocol) == (server, protocol)]
    wrong, total = sum(row.wrong for row in mine), sum(row.requests for row in mine)
    return Check(
        stage="measure",
        subject=f"{server} · {protocol}",
        question="Every answer under load is right",
        outcome=Outcome.FAIL if wrong else Outcome.PASS,
        figure=f"{wrong:,} wrong of {total:,}",
        limit="0 wrong",
        detail=next((row.first_problem for row in mine if row.wrong), ""),
    )


def _load(
    space: Workspace,
    manifest: Manifest,
    servers: Sequence[Server],
    plan: LoadPlan,
    scratch: Path,
) -> Told:
    targets = [
        LoadTarget(endpoint, write_rows(space, manifest, endpoint.server, scratch))
        for protocol in PROTOCOLS
        for server in servers
        for endpoint in endpoints_of(server.spec)
        if endpoint.protocol == protocol
    ]
    folders = tuple(str(folder) for folder in space.settings.case_folders)
    job = LoadJob(space.case.name, folders, tuple(targets), plan, scratch)
    specs = {server.spec.name: server.spec for server in servers}
    return Told(job, run_load(job, scratch), specs, space.version_folder(manifest.version))


def write_rows(space: Workspace, manifest: Manifest, server: str, scratch: Path) -> Path:
    """What a server is sent under load, and what it must answer; see ``LoadTarget``."""
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
