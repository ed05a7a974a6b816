"""Any ServerSpec as a local process with a session, a log file and a record of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil

from models.errors import PortInUse, ServerDied, ServerMissing, ServerNotReady
from serving import started
from serving.process_tree import cpu_seconds_of, resident_bytes_of, stop_process_tree
from serving.records import RunningServer
from serving.server import Readiness, ServerSpec

POLL_SECONDS = 0.05


class ProcessServer:
    """Runs a ServerSpec as a local process.

    The process leads a session of its own, so that Ctrl-C in a terminal reaches only us and we stop the
    server in order. Its id and start time are recorded in ``records`` before anything else happens, so
    that a later command can stop what a killed one left behind.

    Args:
        spec: what to run.
        records: folder for the record of what runs; None keeps none.
    """

    where = "process"

    def __init__(self, spec: ServerSpec, records: Path | None = None) -> None:
        self.spec = spec
        self._records = records
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0

    @property
    def log_path(self) -> Path:
        return self.spec.workdir / "server.log"

    @property
    def pid(self) -> int:
        if self._process is None:
            raise ServerDied(f"{self.spec.label} was never started.")
        return self._process.pid

    def start(self) -> None:
        check_ports_free(self.spec)
        started.check_may_start(self.spec.label)
        self.spec.workdir.mkdir(parents=True, exist_ok=True)
        self._started_at = time.monotonic()
        with self.log_path.open("wb") as log:
            try:
                self._process = subprocess.Popen(
                    self.spec.command,
                    cwd=self.spec.workdir,
                    env={**os.environ, **self.spec.environment},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            except OSError as error:
                raise ServerMissing(
                    f"{self.spec.label} cannot be started: {self.spec.command[0]}: {error.strerror}."
                ) from error
        started.add(self)
        if self._records is not None:
            RunningServer.of_process(self.spec, self.pid).write(self._records)

    def wait_ready(self, timeout_seconds: float | None = None) -> float:
        deadline = self._started_at + (timeout_seconds or self.spec.startup_seconds)
        return wait_until_ready(
            self.spec, self._started_at, deadline, self._check_alive, self._log_hint
        )

    def stop(self) -> None:
        started.discard(self)
        if self._process is None:
            return
        stop_process_tree(self._process.pid, self.spec.stop_seconds)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=5)
        if self._records is not None:
            RunningServer.of_process(self.spec, self.pid).remove(self._records)

    def is_alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def log_tail(self, lines: int = 40) -> str:
        return tail_of(self.log_path, lines)

    def resident_bytes(self) -> int:
        return resident_bytes_of(self.pid)

    def cpu_seconds(self) -> float:
        return cpu_seconds_of(self.pid)

    @property
    def memory_kind(self) -> str:
        return "PSS" if hasattr(psutil.Process().memory_full_info(), "pss") else "RSS"

    def versions(self) -> dict[str, str]:
        return dict(self.spec.versions)

    def _check_alive(self) -> None:
        if self._process is None:
            raise ServerDied(f"{self.spec.label} was never started.")
        code = self._process.poll()
        if code is not None:
            raise ServerDied(f"{self.spec.label} ended with exit code {code}.", self._log_hint())

    def _log_hint(self) -> str:
        return f"The end of its log ({self.log_path}):\n{self.log_tail()}"


def wait_until_ready(
    spec: ServerSpec,
    started_at: float,
    deadline: float,
    check_alive: Callable[[], None],
    log_hint: Callable[[], str],
) -> float:
    """Probe a started server until its model can serve.

    Args:
        spec: whose probe is asked.
        started_at: ``time.monotonic()`` of its start.
        deadline: the same clock's time at which waiting ends.
        check_alive: raises ServerDied for one that has ended.
        log_hint: the end of its log, for the error.

    Returns:
        seconds since ``started_at``.

    Raises:
        ServerDied: from ``check_alive``.
        ServerNotReady: the deadline passed, or the probe said never.
    """
    while True:
        check_alive()
        probe = spec.probe()
        if probe.readiness is Readiness.READY:
            return time.monotonic() - started_at
        if probe.readiness is Readiness.NEVER:
            raise ServerNotReady(f"{spec.label} will not get ready: {probe.seen}", log_hint())
        if time.monotonic() > deadline:
            raise ServerNotReady(
                f"{spec.label} was not ready after {deadline - started_at:.0f} s "
                f"(last seen: {probe.seen or 'no answer'}).",
                log_hint(),
            )
        time.sleep(POLL_SECONDS)


def free_ports(count: int, host: str = "127.0.0.1") -> list[int]:
    """That many different ports that were free a moment ago."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind((host, 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def tail_of(path: Path, lines: int) -> str:
    """The last lines of a text file; empty where there is none."""
    if not path.exists():
        return ""
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])


def check_ports_free(spec: ServerSpec) -> None:
    """
    Raises:
        PortInUse: somebody listens on one of the spec's ports.
    """
    for purpose, port in spec.ports.items():
        _check_port_free(spec, purpose, port)


def _check_port_free(spec: ServerSpec, purpose: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((spec.host, port))
        except OSError as error:
            raise PortInUse(
                f"Port {port} on {spec.host} ({spec.label}, {purpose}) is taken: {error.strerror}.",
                "Choose another port, or stop what listens there (`make stop` if it is ours).",
            ) from error
