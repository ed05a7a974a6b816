"""What a started server leaves on the disk, so that a later command can stop exactly it."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from serving.process_tree import stop_process_tree
from serving.server import ServerSpec


@dataclass(frozen=True)
class RunningServer:
    """The record of a started process: enough to stop exactly it and nothing else.

    Attributes:
        name: the spec's name.
        label: the spec's label.
        pid: process id.
        created: the process's start time as psutil gives it; a recycled id has another.
        ports: port by purpose.
        workdir: the server's folder.
        host: the address it listens on.
        tags: what is served.
    """

    name: str
    label: str
    pid: int
    created: float
    ports: dict[str, int]
    workdir: str
    host: str
    tags: dict[str, str]

    @classmethod
    def of(cls, spec: ServerSpec, pid: int) -> RunningServer:
        try:
            created = psutil.Process(pid).create_time()
        except psutil.NoSuchProcess:
            created = 0.0
        return cls(
            name=spec.name,
            label=spec.label,
            pid=pid,
            created=created,
            ports=dict(spec.ports),
            workdir=str(spec.workdir),
            host=spec.host,
            tags=dict(spec.tags),
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

    def is_running(self) -> bool:
        """Whether that very process, not a later one with the same id, is alive."""
        try:
            process = psutil.Process(self.pid)
            return (
                abs(process.create_time() - self.created) < 1.0
                and process.status() != psutil.STATUS_ZOMBIE
            )
        except psutil.NoSuchProcess:
            return False

    def stop(self, folder: Path, stop_seconds: float = 10.0) -> bool:
        """Stop it if it still runs, and forget it; says whether there was something to stop."""
        was_running = self.is_running()
        if was_running:
            stop_process_tree(self.pid, stop_seconds)
        self.remove(folder)
        return was_running

    def _path(self, folder: Path) -> Path:
        return folder / f"{self.name}-{self.pid}.json"
