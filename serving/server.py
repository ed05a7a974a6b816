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
class ContainerSpec:
    """What a container of a server is made from, and what it may do.

    Nothing else of the machine is visible inside: the root file system is read-only, folders of the
    host are mounted read-only, and what the server writes goes to ``scratch`` and dies with it.

    Attributes:
        name: the container's name, unique on the engine.
        image: name and tag; it must be on the machine already.
        ports: the port inside, by purpose; ``ServerSpec.ports`` are those outside.
        version_command: prints ``program: version`` lines, run inside the container.
        health: a command run inside that ends with 0 when the model can be served.
        arguments: behind the image's entry point.
        environment: variables inside.
        mounts: folder inside -> folder of the host, read-only.
        scratch: folder inside -> options of its tmpfs.
        memory_bytes: limit, swap included; the kernel kills a server that needs more. 0 sets none.
        cpus: limit in cores; 0 sets none.
        user: ``uid:gid`` inside; never root.
        restarts: how often the engine starts it again after a failure; it must outlive us for that.
    """

    name: str
    image: str
    ports: Mapping[str, int]
    version_command: tuple[str, ...]
    health: tuple[str, ...]
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    mounts: Mapping[str, Path] = field(default_factory=dict)
    scratch: Mapping[str, str] = field(default_factory=dict)
    memory_bytes: int = 0
    cpus: float = 0.0
    user: str = "1000:1000"
    restarts: int = 0


@dataclass(frozen=True)
class Computing:
    """What a server may compute with, so that two can be given the same.

    Attributes:
        workers: processes that run the model.
        threads: that each computes one request with.
    """

    workers: int
    threads: int


@dataclass(frozen=True)
class ServerSpec:
    """What to run, apart from where to run it.

    One that has ``command`` can run as a process, one that has ``contained`` as a container.

    Attributes:
        name: short name for files and tables, ``tfserving`` or ``torchserve``.
        label: what exactly it is, for people: "TorchServe 0.12.0",
            "TF Serving API (embedded)". Tables and reports print it as it stands.
        command: program and arguments of the process.
        workdir: a folder of its own; logs and temporary files go there. Created if missing.
        ports: port by purpose (``rest``, ``grpc``, ``management`` ...), all on ``host``.
        probe: asks once whether the MODEL can serve; never blocks for more than a few seconds and never
            raises for a server that is not up yet.
        environment: added to the parent's environment.
        startup_seconds: how long a start may take before it is an error.
        stop_seconds: how long a polite stop may take before the process tree is killed.
        host: the address it listens on.
        tags: what is served, for the records of what runs: ``case`` and ``version``.
        versions: versions of the programs that the process runs on, by name ("torch").
        contained: how the same server runs as a container.
        computing: what its process computes with; None where that is not known.
        load_begins: regular expression of what its log says when it begins to load the model; empty where
            that is not known.
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
    versions: Mapping[str, str] = field(default_factory=dict)
    contained: ContainerSpec | None = None
    computing: Computing | None = None
    load_begins: str = ""

    @property
    def container(self) -> str:
        """Name of its container; empty for a process."""
        return self.contained.name if self.contained else ""

    def url(self, purpose: str) -> str:
        """``http://host:port`` for REST-like ports."""
        return f"http://{self.host}:{self.ports[purpose]}"

    def address(self, purpose: str) -> str:
        """``host:port``, as gRPC wants it."""
        return f"{self.host}:{self.ports[purpose]}"


class Server(Protocol):
    """A started (or to be started) server. ``stop`` is safe to call twice and in any state.

    Attributes:
        spec: what it runs.
        where: ``process`` or ``container``.
        memory_kind: what ``resident_bytes`` counts: ``PSS``, ``RSS`` or ``cgroup``.
    """

    spec: ServerSpec

    @property
    def where(self) -> str: ...
    @property
    def memory_kind(self) -> str: ...

    def start(self) -> None:
        """Start it, without waiting.

        Raises:
            PortInUse: somebody else listens on one of the spec's ports.
            ServerMissing: the program cannot be executed, or the container not made.
        """
        ...

    def wait_ready(self, timeout_seconds: float | None = None) -> float:
        """Wait until the model can serve.

        Returns:
            seconds since ``start``.

        Raises:
            ServerDied: it ended; the message holds the log's tail.
            ServerNotReady: the deadline passed, or the probe said never.
        """
        ...

    def stop(self) -> None:
        """Stop it and everything that it started."""
        ...

    def log_tail(self, lines: int = 40) -> str:
        """The end of the server's own log."""
        ...

    def is_alive(self) -> bool:
        """Whether it was started and has not ended."""
        ...

    def versions(self) -> dict[str, str]:
        """Versions of the programs inside the running server, by name ("torch", "TorchServe").

        Raises:
            ServerDied: it cannot be asked.
        """
        ...

    def resident_bytes(self) -> int:
        """Memory of everything that it runs.

        Of a process tree the proportional set size where the system has it, else RSS; of a container
        what its cgroup holds without the inactive file cache, as ``docker stats`` shows it.
        """
        ...

    def cpu_seconds(self) -> float:
        """User and system time of everything that it runs, so far."""
        ...


def read_versions(said: str) -> dict[str, str]:
    """``program: version`` lines, as ``tensorflow_model_server --version`` prints them."""
    pairs = (line.partition(": ") for line in said.splitlines())
    return {name.strip(): found.strip() for name, colon, found in pairs if colon}
