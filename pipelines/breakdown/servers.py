"""Servers of the breakdown's own: with another model, with other settings, or alone."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from models.artifact import Manifest, storage_errors
from pipelines.launcher import Launch, choose_launcher
from pipelines.serve import owned, server_specs, stop_orphans
from pipelines.workspace import Workspace
from serving.batching import ServerBatching
from serving.server import Server

NAMES = ("tfserving", "torchserve")
AS_PROCESSES = Launch("Servers run as processes")
FREE_PORTS = {f"{name}_{protocol}_port": 0 for name in NAMES for protocol in ("rest", "grpc")}
"""Settings: two servers of one kind run side by side here, and ports that are set are one server's."""


@dataclass(frozen=True)
class Wanted:
    """What is to run.

    Attributes:
        manifest: of what is served.
        folder: what it lists; the version's own for None.
        batching: of the servers; None leaves it as they have it.
        names: of the servers.
        as_processes: whatever the settings say.
    """

    manifest: Manifest
    folder: Path | None = None
    batching: ServerBatching | None = None
    names: Sequence[str] = NAMES
    as_processes: bool = False


@contextmanager
def prepared(space: Workspace, wanted: Wanted, purpose: str) -> Iterator[list[Server]]:
    """Servers that are not started yet; they are stopped, and their folder removed, at the end.

    Args:
        space: the case. Ports that its settings name are not used; free ones are.
        wanted: what is to run.
        purpose: names their folder.

    Raises:
        ServerError, ArtifactError: they cannot be prepared.
    """
    space = replace(space, settings=space.settings.model_copy(update=FREE_PORTS))
    launch = AS_PROCESSES if wanted.as_processes else choose_launcher(space.settings)
    stop_orphans(space.settings.records, launch.in_containers)
    # The process id comes last: it tells a later run whose folder this was.
    home = space.settings.state / "run" / f"{space.case.name}-{purpose}-{os.getpid()}"
    with storage_errors(home, "TWINSERVE_STATE"):
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
    servers: list[Server] = []
    try:
        specs = server_specs(
            space,
            wanted.manifest,
            home,
            launch,
            folder=wanted.folder,
            batching=wanted.batching,
        )
        servers = [
            launch.server(owned(spec), space.settings.records)
            for spec in specs
            if spec.name in wanted.names
        ]
        yield servers
    finally:
        for server in servers:
            server.stop()
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def running(space: Workspace, wanted: Wanted, purpose: str) -> Iterator[list[Server]]:
    """The same, started and ready.

    Raises:
        ServerError: one did not get ready.
    """
    with prepared(space, wanted, purpose) as servers:
        with ThreadPoolExecutor(len(servers)) as pool:
            for each in [pool.submit(_bring_up, server) for server in servers]:
                each.result()
        yield servers


def _bring_up(server: Server) -> None:
    server.start()
    server.wait_ready()
