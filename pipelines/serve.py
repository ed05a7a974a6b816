"""Stage: start both servers with one version, and stop what was started."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from models.artifact import Manifest, storage_errors
from models.errors import AlreadyServing, ServerNotReady
from models.framework import Format
from models.parity import compare
from pipelines.reference import Reference
from pipelines.workspace import Workspace, log
from serving.endpoints import endpoints_of
from serving.process import ProcessServer
from serving.records import RunningServer
from serving.server import ServerSpec
from serving.tfserving import repository as tfserving_repository
from serving.tfserving.spec import tfserving_spec
from serving.torchserve import repository as torchserve_repository
from serving.torchserve.spec import torchserve_spec

OWNER, OWNER_CREATED, KEEP = "owner", "owner_created", "keep"
"""Tags of a record: the process that must be alive, or that the server is meant to outlive it."""


def server_specs(space: Workspace, manifest: Manifest, home: Path) -> list[ServerSpec]:
    """What to run for one version: its SavedModel and its model archive, published into ``home``.

    Raises:
        ArtifactMissing, ArtifactCorrupt: an artifact is not what the manifest says.
        ServerMissing: a server's program is not installed.
    """
    folder, name = space.version_folder(manifest.version), space.case.name
    saved_model = manifest.artifact(Format.SAVED_MODEL).check(folder)
    archive = manifest.artifact(Format.MAR).check(folder)
    models_folder, store = home / "models", home / "model-store"
    tfserving_repository.publish(saved_model, models_folder / name, manifest.version)
    torchserve_repository.publish(archive, store, name, str(manifest.version))
    settings = space.settings
    tags = {"case": name, "version": str(manifest.version)}
    specs = (
        tfserving_spec(
            name,
            models_folder / name,
            home / "tfserving",
            _chosen(rest=settings.tfserving_rest_port, grpc=settings.tfserving_grpc_port),
        ),
        torchserve_spec(
            name,
            store,
            home / "torchserve",
            _chosen(rest=settings.torchserve_rest_port, grpc=settings.torchserve_grpc_port),
        ),
    )
    return [
        replace(spec, tags=tags, startup_seconds=settings.startup_timeout_seconds) for spec in specs
    ]


@dataclass(frozen=True)
class StartedServers:
    """Servers that have answered correctly.

    Attributes:
        servers: TF Serving's API, then TorchServe.
        ready_seconds: by server name, from start to the first correct answer, both starting at once.
        home: their folder.
    """

    servers: list[ProcessServer]
    ready_seconds: dict[str, float]
    home: Path

    def stop(self) -> None:
        """Stop both and remove their folder."""
        _stop(self.servers)
        shutil.rmtree(self.home, ignore_errors=True)


def start_servers(space: Workspace, manifest: Manifest, keep: bool = False) -> StartedServers:
    """Start both servers at once and wait until both have answered a row correctly.

    Args:
        space: the case.
        manifest: the version to serve.
        keep: whether they are meant to outlive this process; else the caller stops them, and if it
            cannot, the next run does.

    Raises:
        ServerError: one did not get ready; both are stopped again.
    """
    stop_orphans(space.settings.records)
    home = space.settings.state / "run" / f"{space.case.name}-{os.getpid()}"
    with storage_errors(home, "TWINSERVE_STATE"):
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
    specs = [_owned(spec, keep) for spec in server_specs(space, manifest, home)]
    servers = [ProcessServer(spec, space.settings.records) for spec in specs]
    ready: dict[str, float] = {}

    def bring_up(server: ProcessServer) -> None:
        began = time.monotonic()
        server.start()
        server.wait_ready()
        ask_first(space, manifest, server)
        ready[server.spec.name] = time.monotonic() - began
        log.info(f"{server.spec.label} answers correctly after {ready[server.spec.name]:.1f} s")

    try:
        with ThreadPoolExecutor(len(servers)) as pool:
            # In a copy of this context, so that what is logged reaches Prefect's task run.
            futures = [pool.submit(copy_context().run, bring_up, server) for server in servers]
        for future in futures:
            future.result()
    except BaseException:
        _stop(servers)
        raise
    return StartedServers(servers, ready, home)


def stop_servers(_space: Workspace, servers: StartedServers) -> None:
    """Stop both and remove their folder; a stage, so that its time is counted."""
    servers.stop()


def _stop(servers: list[ProcessServer]) -> None:
    """Stop them side by side."""
    with ThreadPoolExecutor(len(servers)) as pool:
        list(pool.map(ProcessServer.stop, servers))


def ask_first(space: Workspace, manifest: Manifest, server: ProcessServer) -> None:
    """Send one row of the test split and hold the answer against the model in memory.

    Raises:
        ServerNotReady: the answer is wrong.
        RequestError: there is none.
    """
    endpoint = endpoints_of(server.spec)[0]
    reference = Reference.of(space, endpoint.framework, manifest)
    case, row = space.case, slice(0, 1)
    with endpoint.connect(
        case.name, case.contract, space.settings.request_timeout_seconds
    ) as client:
        answer = client.predict(reference.split.rows(row).inputs)
    wanted = {name: rows[row] for name, rows in reference.test.items()}
    parity = compare(case.contract, wanted, answer, case.tolerances.float32)
    if not parity.passed:
        raise ServerNotReady(
            f"{endpoint.title} answers its first request wrongly: {parity.worst_output} is off by "
            f"{parity.max_abs:.1e}.",
            "It serves another model than the manifest says.",
        )


def leave_running(space: Workspace, manifest: Manifest) -> StartedServers:
    """Start both servers to outlive this process.

    Raises:
        AlreadyServing: they were left running before.
        ServerError: one did not get ready.
    """
    before = left_running(space)
    if before:
        raise AlreadyServing(
            f"Version {before[0].tags['version']} of {space.case.name!r} is already being served.",
            "`make query` asks it, `make stop` ends it.",
        )
    return start_servers(space, manifest, keep=True)


def left_running(space: Workspace) -> list[RunningServer]:
    """The servers of this case that ``leave_running`` started and that are alive, sorted by name."""
    found = [
        record
        for record in RunningServer.read_all(space.settings.records)
        if KEEP in record.tags and record.tags["case"] == space.case.name and record.is_running()
    ]
    return sorted(found, key=lambda record: record.name)


def stop_orphans(records: Path) -> list[str]:
    """Stop servers whose owner has died without stopping them; their labels."""
    return _stop_recorded(
        records, lambda record: KEEP not in record.tags and not _owner_lives(record)
    )


def stop_all(records: Path) -> list[str]:
    """Stop every server that a record names and that no living run needs; their labels."""
    return _stop_recorded(records, lambda record: KEEP in record.tags or not _owner_lives(record))


def _stop_recorded(records: Path, which: Callable[[RunningServer], bool]) -> list[str]:
    chosen = [record for record in RunningServer.read_all(records) if which(record)]
    stopped = [record for record in chosen if record.stop(records)]
    for home in {Path(record.workdir).parent for record in chosen}:
        shutil.rmtree(home, ignore_errors=True)
    return [f"{record.label} (process {record.pid})" for record in stopped]


def _chosen(**ports: int) -> dict[str, int]:
    """The ports that were set; the others are found free."""
    return {purpose: port for purpose, port in ports.items() if port}


def _owned(spec: ServerSpec, keep: bool) -> ServerSpec:
    me = psutil.Process()
    more = {KEEP: "yes"} if keep else {OWNER: str(me.pid), OWNER_CREATED: str(me.create_time())}
    return replace(spec, tags={**spec.tags, **more})


def _owner_lives(record: RunningServer) -> bool:
    try:
        owner = psutil.Process(int(record.tags[OWNER]))
        return abs(owner.create_time() - float(record.tags[OWNER_CREATED])) < 1.0
    except (KeyError, ValueError, psutil.NoSuchProcess):
        return False
