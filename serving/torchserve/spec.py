"""What to run for TorchServe, as a local process."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from serving.batching import ServerBatching
from serving.process import free_ports
from serving.server import Computing, ServerSpec
from serving.torchserve.batching import batching_settings
from serving.torchserve.java import find_java
from serving.torchserve.launch import (
    launch_command,
    launch_environment,
    prepare_folder,
    threads_of,
    torchserve_label,
)
from serving.torchserve.readiness import ModelProbe
from serving.torchserve.repository import newest
from serving.torchserve.settings import server_settings

HOST = "127.0.0.1"
LOAD_BEGINS = "Loading initial models"
PURPOSES = ("rest", "management", "metrics", "grpc", "grpc_management")

LONGEST_SOCKET_PATH = 100
"""Bytes. The kernel takes 107, and Java puts ``/.ts.sock.9000`` behind its temporary folder."""


def torchserve_spec(
    model_name: str,
    store: Path,
    workdir: Path,
    ports: Mapping[str, int] | None = None,
    workers: int = 1,
    model_api: bool = False,
    batching: ServerBatching | None = None,
) -> ServerSpec:
    """What to run to serve the newest version of a model with TorchServe.

    Args:
        model_name: the name it is served under.
        store: the model store, filled by :func:`serving.torchserve.repository.publish`.
        workdir: a folder of its own, which nothing else uses; settings, keys, logs and temporary
            files go there.
        ports: ``rest``, ``management``, ``metrics``, ``grpc``, ``grpc_management``; free ones are
            found for those that are missing.
        workers: Python processes for the model; they share all cores but one.
        model_api: whether the management token may register and unregister archives of the store,
            as a rolling update does.
        batching: the server's own; None leaves it at one request at a time.

    Raises:
        ArtifactMissing: the store holds no archive of that model.
        ServerMissing: TorchServe, or a Java for it, is not installed.
        StorageError: the folder cannot be written.
    """
    label, java, cores = torchserve_label(), find_java(), os.cpu_count() or 1
    archive, workdir = newest(store.resolve(), model_name), workdir.resolve()
    chosen = _with_free_ports(ports or {})
    settings = server_settings(HOST, chosen, archive, model_name, workers, model_api)
    settings |= _worker_channel(workdir)
    if batching:
        settings |= batching_settings(archive, model_name, workers, batching)
    prepare_folder(workdir, settings)
    return ServerSpec(
        name="torchserve",
        label=label,
        command=launch_command(java, workdir),
        workdir=workdir,
        ports=chosen,
        probe=ModelProbe(model_name, workdir, HOST, chosen["management"]),
        environment=launch_environment(workdir, workers, cores),
        computing=Computing(workers, threads_of(workers, cores)),
        host=HOST,
        load_begins=LOAD_BEGINS,
        versions={"torch": version("torch"), "TorchServe": version("torchserve")},
    )


def _worker_channel(workdir: Path) -> dict[str, str]:
    """Workers are reached through a Unix socket in the folder; TCP where its path is too long."""
    socket = workdir / "tmp" / ".ts.sock.9000"
    if len(os.fsencode(socket)) <= LONGEST_SOCKET_PATH:
        return {}
    return {"use_native_io": "false", "initial_worker_port": str(free_ports(1)[0])}


def _with_free_ports(ports: Mapping[str, int]) -> dict[str, int]:
    missing = [purpose for purpose in PURPOSES if purpose not in ports]
    return {**ports, **dict(zip(missing, free_ports(len(missing)), strict=True))}
