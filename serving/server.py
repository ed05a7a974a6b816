"""What to run (ServerSpec) and the life of a server (Server), whichever place it runs in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Protocol


class Readiness(Enum):
    """The three answers to "can it serve?"."""

    NOT_YET = "not yet"
    READY = "ready"
    NEVER = "never"


@dataclass(frozen=True)
class Probe:
    """One look at a server: the answer, and what was seen, for the error message."""

    readiness: Readiness
    seen: str = ""


@dataclass(frozen=True)
class ServerSpec:
    """What to run, apart from where to run it.

    Attributes:
        name: short name for files and tables, ``tfserving`` or ``torchserve``.
        label: what exactly it is, for people: "TorchServe 0.12.0",
            "TF Serving API (embedded)". Tables and reports print it as it stands.
        command: program and arguments.
        workdir: a folder of its own; logs and temporary files go there. Created if missing.
        ports: port by purpose (``rest``, ``grpc``, ``management`` ...), all on ``host``.
        probe: asks once whether the MODEL can serve; never blocks for more than a few seconds and never
            raises for a server that is not up yet.
        environment: added to the parent's environment.
        startup_seconds: how long a start may take before it is an error.
        stop_seconds: how long a polite stop may take before the process tree is killed.
        host: the address it listens on.
        tags: what is served, for the records of what runs: ``case`` and ``version``.
    """

    name: str
    label: str
    command: tuple[str, ...]
    workdir: Path
    ports: Mapping[str, int]
    probe: Callable[[], Probe]
    environment: Mapping[str, str] = field(default_factory=dict)
    startup_seconds: float = 120.0
    stop_seconds: float = 10.0
    host: str = "127.0.0.1"
    tags: Mapping[str, str] = field(default_factory=dict)

    def url(self, purpose: str) -> str:
        """``http://host:port`` for REST-like ports."""
        return f"http://{self.host}:{self.ports[purpose]}"

    def address(self, purpose: str) -> str:
        """``host:port``, as gRPC wants it."""
        return f"{self.host}:{self.ports[purpose]}"


class Server(Protocol):
    """A started (or to be started) server. ``stop`` is safe to call twice and in any state."""

    spec: ServerSpec

    def start(self) -> None:
        """Start it, without waiting.

        Raises:
            PortInUse: somebody else listens on one of the spec's ports.
            ServerMissing: the program cannot be executed.
        """
        ...

    def wait_ready(self, timeout_seconds: float | None = None) -> float:
        """Wait until the model can serve.

        Returns:
            seconds since ``start``.

        Raises:
            ServerDied: the process ended; the message holds the log's tail.
            ServerNotReady: the deadline passed, or the probe said never.
        """
        ...

    def stop(self) -> None:
        """Stop it and everything that it started."""
        ...

    def log_tail(self, lines: int = 40) -> str:
        """The end of the server's own log."""
        ...

    def resident_bytes(self) -> int:
        """Memory of the whole process tree: proportional set size where the system has it, else RSS."""
        ...
