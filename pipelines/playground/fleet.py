"""The servers that run now, looked for again and again: whether they answer, and with which version."""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from typing import Any

import httpx

from models.artifact import Manifest
from models.errors import ArtifactError, TwinServeError
from models.formats import Format
from models.lite import TFLitePredictor
from pipelines.deploy import Rollout, rollout_of
from pipelines.playground.engines import Absent, Engine, FileEngine, ServerEngine
from pipelines.serve import left_running
from pipelines.workspace import Workspace
from serving.endpoints import FRAMEWORK_OF, PROTOCOLS, Client, endpoints_of
from serving.records import RunningServer
from serving.tfserving.rollout import Rollout as TfServingRollout

PATIENCE_SECONDS = 3.0
"""How long one question of the page may take."""
STATE_SECONDS = 3.0
"""How long a server may take to say how it is."""
PATIENT_LOOKS = 2
"""So many times in a row it may be too slow to say before it counts as down: it may be busy with a new version."""
FILES = {"tflite": Format.TFLITE, "tflite-int8": Format.TFLITE_INT8}
LITE = f"LiteRT {version('ai-edge-litert')}, in the page's process"
NAMES = {"tfserving": "TF Serving", "torchserve": "TorchServe"}
NOT_RUNNING = "Nothing runs: `make serve` starts both."
ENDED = "It has ended: `make stop` and then `make serve` start both anew."
NOT_SEEN = "It has not said yet how it is."


@dataclass
class Seat:
    """One server's place, whether or not somebody sits there.

    Attributes:
        label: what ran here last.
        record: what the running server left on the disk; None without one.
        clients: by protocol.
        version: what answers requests that name no version; None while nothing does.
        versions: by version its state, in the server's own words.
        problem: why it cannot be asked; empty where it can.
        slow_looks: how often in a row it was too slow to say how it is.
    """

    label: str
    record: RunningServer | None = None
    rollout: Rollout | None = None
    clients: dict[str, Client] = field(default_factory=dict)
    version: int | None = None
    versions: dict[int, str] = field(default_factory=dict)
    problem: str = NOT_RUNNING
    slow_looks: int = 0


class Fleet:
    """Every engine of a case. ``refresh`` and ``engines`` may be called from different threads.

    Args:
        space: the case.
        manifest: the version whose TFLite files are opened until a server says another.
    """

    def __init__(self, space: Workspace, manifest: Manifest) -> None:
        self._space = space
        self._seats = {name: Seat(NAMES[name]) for name in FRAMEWORK_OF}
        self._files: list[Engine] = []
        self._file_version = 0
        self._lock = threading.Lock()
        self._open_files(manifest)

    def refresh(self) -> dict[str, Any]:
        """Look again; at most a few seconds.

        Returns:
            ``servers``: by name ``label``, ``version``, ``versions``, ``problem``; ``files``: their version;
            ``absent``: keys of the files that this version lacks.
        """
        try:
            found = {record.name: record for record in left_running(self._space)}
            gone = ENDED if found else NOT_RUNNING
        except TwinServeError as error:
            found, gone = {}, error.message
        for name, seat in self._seats.items():
            self._seat(seat, found.get(name), gone)
            _look(seat)
        self._follow(self._seats["tfserving"].version)
        return self.state()

    def state(self) -> dict[str, Any]:
        """What ``refresh`` found last."""
        with self._lock:
            servers = {
                name: {
                    "label": seat.label,
                    "version": seat.version,
                    "versions": {str(n): each for n, each in sorted(seat.versions.items())},
                    "problem": seat.problem,
                }
                for name, seat in self._seats.items()
            }
            absent = [each.key for each in self._files if isinstance(each, Absent)]
            return {"servers": servers, "files": self._file_version, "absent": absent}

    def engines(self) -> list[Engine]:
        """All six, in the page's order; those that are down say so when they are asked."""
        with self._lock:
            asked: list[Engine] = []
            for name, seat in self._seats.items():
                for protocol in PROTOCOLS:
                    asked.append(_engine(f"{name}-{protocol.lower()}", seat, protocol))
            return [*asked, *self._files]

    def close(self) -> None:
        """Give the connections back."""
        for seat in self._seats.values():
            _leave(seat)

    def _seat(self, seat: Seat, record: RunningServer | None, gone: str) -> None:
        """Whoever runs now gets new clients; the tags of the same server may have changed."""
        if record is None:
            with self._lock:
                _leave(seat)
                seat.problem = gone
        elif seat.record is None or _identity(record) != _identity(seat.record):
            clients = {
                each.protocol: each.connect(
                    self._space.case.name, self._space.case.contract, PATIENCE_SECONDS
                )
                for each in endpoints_of(record)
            }
            rollout = replace(rollout_of(self._space, record), timeout_seconds=STATE_SECONDS)
            with self._lock:
                _leave(seat)
                seat.label, seat.record, seat.rollout = record.label, record, rollout
                seat.clients, seat.problem = clients, NOT_SEEN

    def _follow(self, served: int | None) -> None:
        """The files are those of the version that TF Serving answers with."""
        if served not in (None, self._file_version):
            with suppress(ArtifactError):  # a version of somebody else's; the files stay
                self._open_files(self._space.manifest(served))

    def _open_files(self, manifest: Manifest) -> None:
        held = {artifact.format for artifact in manifest.artifacts}
        files: list[Engine] = []
        for key, form in FILES.items():
            if form not in held:
                why = self._space.case.absent.get(form, "this version has no such file")
                files.append(Absent(key, form, f"Left out: {why}.", for_good=True))
                continue
            path = manifest.artifact(form).check(self._space.version_folder(manifest.version))
            predictor = TFLitePredictor(path, self._space.case.contract)
            files.append(FileEngine(key, LITE, predictor, manifest.version))
        with self._lock:
            self._files, self._file_version = files, manifest.version


def _engine(key: str, seat: Seat, protocol: str) -> Engine:
    if seat.problem:
        return Absent(key, seat.label, seat.problem)
    return ServerEngine(key, seat.label, seat.clients[protocol], seat.version)


def _look(seat: Seat) -> None:
    """Ask a server which versions it has; its silence is a problem of its own."""
    if seat.rollout is None:
        return
    try:
        answering, versions = seat.rollout.answering(), _versions(seat.rollout)
    except TwinServeError as error:
        slow = isinstance(error.__cause__, httpx.TimeoutException)
        seat.slow_looks = seat.slow_looks + 1 if slow else PATIENT_LOOKS
        if seat.slow_looks >= PATIENT_LOOKS:
            seat.problem = f"It gives no answer. {error.message}"
            seat.version, seat.versions = None, {}
        return
    seat.slow_looks = 0
    seat.version, seat.versions = answering, versions
    seat.problem = "" if answering is not None else "No version of the model is ready."


def _versions(rollout: Rollout) -> dict[int, str]:
    """TorchServe's own word for a worker that is being started is UNLOADING, which would mislead."""
    if isinstance(rollout, TfServingRollout):
        return {n: state for n, (state, _) in rollout.states().items()}
    return {
        n: "READY" if any(w["status"] == "READY" for w in each.get("workers", [])) else "NOT READY"
        for n, each in rollout.versions().items()
    }


def _leave(seat: Seat) -> None:
    for client in seat.clients.values():
        client.close()
    seat.record, seat.rollout, seat.clients = None, None, {}
    seat.version, seat.versions, seat.slow_looks = None, {}, 0


def _identity(record: RunningServer) -> tuple[object, ...]:
    return (record.pid, record.created, record.container_id, tuple(sorted(record.ports.items())))
