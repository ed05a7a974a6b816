"""What a started server leaves on the disk, so that a later command can find it and stop exactly it."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from serving.engine import connect, remove_container, status_of
from serving.process_tree import stop_process_tree
from serving.server import ServerSpec


@dataclass(frozen=True)
class RunningServer:
    """The record of a started process or container: enough to stop exactly it and nothing else.

    Attributes:
        name: the spec's name.
        label: the spec's label.
        pid: process id; 0 for a container.
        created: the process's start time as psutil gives it; a recycled id has another.
        ports: port by purpose.
        workdir: the server's folder.
        host: the address it listens on.
        tags: what is served.
        container: the container's name; empty for a process.
        container_id: the container's id; no other ever has it.
    """

    name: str
    label: str
    pid: int
    created: float
    ports: dict[str, int]
    workdir: str
    host: str
    tags: dict[str, str]
    container: str = ""
    container_id: str = ""

    @classmethod
    def of_process(cls, spec: ServerSpec, pid: int) -> RunningServer:
        try:
            created = psutil.Process(pid).create_time()
        except psutil.NoSuchProcess:
            created = 0.0
        return cls(pid=pid, created=created, **_stated(spec))

    @classmethod
    def of_container(cls, spec: ServerSpec, container_id: str) -> RunningServer:
        return cls(
            pid=0,
            created=0.0,
            container=spec.container,
            container_id=container_id,
            **_stated(spec),
        )

    @classmethod
    def read_all(cls, folder: Path) -> list[RunningServer]:
        """Every record in the folder; one that cannot be read is skipped, for it names no process."""
        found = []
        for path in sorted(folder.glob("*.json")):
            with suppress(ValueError, TypeError, OSError):
                found.append(cls(**json.loads(path.read_text())))
        return found

    def write(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        beside = self._path(folder).with_suffix(".tmp")
        beside.write_text(json.dumps(asdict(self), indent=2))
        beside.replace(self._path(folder))

    def remove(self, folder: Path) -> None:
        self._path(folder).unlink(missing_ok=True)

    @property
    def identity(self) -> str:
        """``process 123`` or ``container twinserve-torchserve-1a2b``, for people."""
        return f"container {self.container}" if self.container else f"process {self.pid}"

    def is_running(self) -> bool:
        """Whether that very process or container is alive; a later process with its id is another.

        Raises:
            EngineUnavailable: it is a container and the engine does not answer.
        """
        if self.container_id:
            return _container_status(self.container_id) in ("running", "paused", "restarting")
        try:
            process = psutil.Process(self.pid)
            return (
                abs(process.create_time() - self.created) < 1.0
                and process.status() != psutil.STATUS_ZOMBIE
            )
        except psutil.NoSuchProcess:
            return False

    def stop(self, folder: Path, stop_seconds: float = 10.0) -> bool:
        """Stop it if it still runs, and forget it; says whether there was something to stop.

        Raises:
            EngineUnavailable: it is a container and the engine does not answer; it is not forgotten.
        """
        if self.container_id:
            was_running = _remove_container(self.container_id, stop_seconds)
        else:
            was_running = self.is_running()
            if was_running:
                stop_process_tree(self.pid, stop_seconds)
        self.remove(folder)
        return was_running

    def _path(self, folder: Path) -> Path:
        return folder / f"{self.name}-{self.container_id[:12] or self.pid}.json"


def _stated(spec: ServerSpec) -> dict[str, Any]:
    return {
        "name": spec.name,
        "label": spec.label,
        "ports": dict(spec.ports),
        "workdir": str(spec.workdir),
        "host": spec.host,
        "tags": dict(spec.tags),
    }


def _container_status(container_id: str) -> str:
    """The engine's word for it; ``gone`` for one that is not there."""
    client = connect()
    try:
        return status_of(client, container_id)
    finally:
        client.close()


def _remove_container(container_id: str, stop_seconds: float) -> bool:
    client = connect()
    try:
        return remove_container(client, container_id, stop_seconds)
    finally:
        client.close()
