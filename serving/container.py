"""Any ServerSpec as a container, through the Docker SDK: locked in, labelled, removed by its id."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.errors import PortInUse, ServerDied, ServerMissing, TwinServeError
from serving import started
from serving.engine import connect, engine_errors, remove_container, run_inside
from serving.process import check_ports_free, wait_until_ready
from serving.records import RunningServer
from serving.server import ContainerSpec, ServerSpec, read_versions

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

LABEL = "io.twinserve."
SERVER, RECORDS = f"{LABEL}server", f"{LABEL}records"
TAG = f"{LABEL}tag."
"""Labels: the spec's name, the folder of records that it belongs to, and every tag of the spec."""

SECOND = 1_000_000_000
HEALTH_SECONDS = 5
MOST_PROCESSES = 1024
LOG_LIMITS = {"max-size": "10m", "max-file": "2"}
ALMOST = 0.95
"""Share of a limit from which on it counts as reached."""
STATE_SECONDS = 0.25
"""How often the engine is asked whether a starting container still lives."""


class ContainerServer:
    """Runs a ServerSpec as a container that can reach nothing but what it is given.

    Read-only root file system, no capabilities, no new privileges, not root, ports on loopback
    only. Its labels say whose it is, so that the next run finds it even where no record was
    written; it is stopped and removed by its id.

    Args:
        spec: what to run; ``contained`` says how.
        records: folder for the record of what runs; None keeps none.
    """

    where = "container"
    memory_kind = "cgroup"

    def __init__(self, spec: ServerSpec, records: Path | None = None) -> None:
        self.spec = spec
        self._records = records
        self._client: DockerClient | None = None
        self._container: Container | None = None
        self._started_at = 0.0
        self._asked_at = 0.0

    @property
    def id(self) -> str:
        """The container's id.

        Raises:
            ServerDied: it was never made.
        """
        return str(self._made().id)

    def start(self) -> None:
        contained = contained_of(self.spec)
        check_ports_free(self.spec)
        started.check_may_start(self.spec.label)
        self.spec.workdir.mkdir(parents=True, exist_ok=True)
        self._client = connect()
        self._started_at = time.monotonic()
        try:
            with engine_errors(f"{self.spec.label} cannot be started"):
                self._container = self._client.containers.create(
                    contained.image, **container_settings(self.spec, self._records)
                )
                started.add(self)
                if self._records is not None:
                    RunningServer.of_container(self.spec, self.id).write(self._records)
                self._container.start()
        except ServerDied as error:
            self.stop()
            if "port is already allocated" in error.message or "bind" in error.message.lower():
                raise PortInUse(
                    error.message, "Choose another port, or stop what listens there."
                ) from error
            raise ServerMissing(error.message, error.hint) from error
        except BaseException:
            with suppress(TwinServeError):
                self.stop()
            raise

    def wait_ready(self, timeout_seconds: float | None = None) -> float:
        deadline = self._started_at + (timeout_seconds or self.spec.startup_seconds)
        return wait_until_ready(
            self.spec, self._started_at, deadline, self._check_alive, self._log_hint
        )

    def stop(self) -> None:
        """Stop it in order, then remove it, by its id.

        Raises:
            EngineUnavailable: the engine is away. The record stays, and the next run removes it.
        """
        started.discard(self)
        if self._client is None:
            return
        try:
            if self._container is not None:
                remove_container(self._client, self.id, self.spec.stop_seconds)
        finally:
            self._client.close()  # its pooled connections; another call would open new ones
        if self._records is not None and self._container is not None:
            RunningServer.of_container(self.spec, self.id).remove(self._records)

    def is_alive(self) -> bool:
        try:
            return self._state().get("Status") in ("created", "running", "paused", "restarting")
        except TwinServeError:
            return False

    def log_tail(self, lines: int = 40) -> str:
        return log_of(self.id, lines)

    def resident_bytes(self) -> int:
        memory = self._stats().get("memory_stats") or {}
        detail = memory.get("stats") or {}
        # As `docker stats` does: cgroup v1 names the idle cache total_inactive_file, v2 inactive_file.
        idle = detail.get("total_inactive_file", detail.get("inactive_file", 0))
        return max(0, int(memory.get("usage", 0)) - int(idle))

    def cpu_seconds(self) -> float:
        usage = (self._stats().get("cpu_stats") or {}).get("cpu_usage") or {}
        return float(usage.get("total_usage", 0)) / SECOND

    def versions(self) -> dict[str, str]:
        """As the programs inside say; see ``ContainerSpec.version_command``."""
        code, said = run_inside(self.spec.container, contained_of(self.spec).version_command)
        if code:
            self._asked_at = 0.0
            self._check_alive()  # what ended the container ended the command in it
            raise ServerDied(f"{self.spec.label} does not say its versions: {said.strip()[-300:]}")
        return read_versions(said)

    def _made(self) -> Container:
        if self._container is None:
            raise ServerDied(f"{self.spec.label} was never started.")
        return self._container

    def _api(self) -> Any:
        if self._client is None:
            raise ServerDied(f"{self.spec.label} was never started.")
        return self._client.api

    def _check_alive(self) -> None:
        if time.monotonic() < self._asked_at + STATE_SECONDS:
            return
        self._asked_at = time.monotonic()
        state = self._state()
        # One that the engine starts again has failed all the same, and would do so the next time.
        failed_before = self._made().attrs.get("RestartCount", 0) > 0
        if failed_before or state.get("Status") in ("exited", "dead", "removing"):
            raise ServerDied(_how_it_ended(self.spec, state), self._log_hint())

    def _state(self) -> Mapping[str, Any]:
        container = self._made()
        with engine_errors(f"{self.spec.label} cannot be looked after"):
            container.reload()
        state: Mapping[str, Any] = container.attrs["State"]
        return state

    def _stats(self) -> Mapping[str, Any]:
        with engine_errors(f"{self.spec.label} cannot be weighed"):
            # One look: without it the engine takes a second to compare two.
            stats = self._api().stats(self.id, stream=False, one_shot=True)
        return dict(stats)

    def _log_hint(self) -> str:
        try:
            return f"{self._memory_hint()}The end of its log:\n{self.log_tail()}"
        except TwinServeError as error:
            return f"Its log cannot be read: {error.message}"

    def _memory_hint(self) -> str:
        """A server at its limit may crawl, reading its program anew again and again, and not be killed."""
        limit = contained_of(self.spec).memory_bytes
        used = (self._stats().get("memory_stats") or {}).get("usage", 0)
        if not limit or used < ALMOST * limit:
            return ""
        return (
            f"Its memory is at its limit of {limit / 2**20:,.0f} MiB: "
            "TWINSERVE_CONTAINER_MEMORY_MB sets another.\n"
        )


def contained_of(spec: ServerSpec) -> ContainerSpec:
    """How a spec runs as a container.

    Raises:
        ServerMissing: it has no image.
    """
    if spec.contained is None:
        raise ServerMissing(f"{spec.label} has no image to make a container from.")
    return spec.contained


def log_of(container: str, lines: int) -> str:
    """The end of a container's log.

    Raises:
        EngineUnavailable, ServerDied: it cannot be read.
    """
    client = connect()
    try:
        with engine_errors(f"The log of the container {container} cannot be read"):
            said: bytes = client.containers.get(container).logs(tail=lines)
        return said.decode(errors="replace").rstrip()
    finally:
        client.close()


def remove_labelled(
    records: Path, which: Callable[[Mapping[str, str]], bool], stop_seconds: float = 10.0
) -> list[str]:
    """Remove containers by their labels: those that a killed run left, with or without a record.

    Args:
        records: only containers of this folder of records are ours to remove.
        which: is told a container's tags.
        stop_seconds: for each one's stop in order.

    Returns:
        what was running, for people.

    Raises:
        EngineUnavailable: the engine is away.
    """
    client = connect()
    try:
        with engine_errors("The containers of earlier runs cannot be listed"):
            found = client.containers.list(
                all=True, filters={"label": f"{RECORDS}={records.resolve()}"}, ignore_removed=True
            )
        removed = []
        for each in found:
            tags = {
                name.removeprefix(TAG): value
                for name, value in each.labels.items()
                if name.startswith(TAG)
            }
            if which(tags) and remove_container(client, str(each.id), stop_seconds):
                removed.append(
                    f"{each.labels.get(f'{LABEL}label', each.name)} (container {each.name})"
                )
        return removed
    finally:
        client.close()


def container_settings(spec: ServerSpec, records: Path | None) -> dict[str, Any]:
    """Arguments of the SDK's ``containers.create``, the image left out.

    Args:
        spec: what to run.
        records: the folder of records that it belongs to; None for none.

    Raises:
        ServerMissing: the spec has no image.
    """
    from docker.types import LogConfig, Mount  # noqa: PLC0415

    contained = contained_of(spec)
    labels = {SERVER: spec.name, f"{LABEL}label": spec.label}
    labels |= {f"{TAG}{name}": value for name, value in spec.tags.items()}
    if records is not None:
        labels[RECORDS] = str(records.resolve())
    return {
        "name": contained.name,
        "command": list(contained.arguments),
        "environment": dict(contained.environment),
        "labels": labels,
        "ports": {
            f"{inside}/tcp": (spec.host, spec.ports[purpose])
            for purpose, inside in contained.ports.items()
            if purpose in spec.ports
        },
        "mounts": [
            Mount(target=target, source=str(folder.resolve()), type="bind", read_only=True)
            for target, folder in contained.mounts.items()
        ],
        "tmpfs": dict(contained.scratch),
        "user": contained.user,
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "pids_limit": MOST_PROCESSES,
        # As much swap as memory is none beyond it: a limit that swaps is no limit.
        "mem_limit": contained.memory_bytes or None,
        "memswap_limit": contained.memory_bytes or None,
        "nano_cpus": round(contained.cpus * SECOND) or None,
        "restart_policy": (
            {"Name": "on-failure", "MaximumRetryCount": contained.restarts}
            if contained.restarts
            else {"Name": "no"}
        ),
        "init": True,  # reaps what ends inside, and passes SIGTERM on
        "log_config": LogConfig(type="json-file", config=LOG_LIMITS),
        "healthcheck": {
            "test": ["CMD", *contained.health],
            "interval": HEALTH_SECONDS * SECOND,
            "timeout": HEALTH_SECONDS * SECOND,
            "retries": 3,
            "start_period": round(spec.startup_seconds) * SECOND,
        },
    }


def _how_it_ended(spec: ServerSpec, state: Mapping[str, Any]) -> str:
    if state.get("OOMKilled") and spec.contained is not None:
        limit = spec.contained.memory_bytes / 2**20
        return f"{spec.label} was killed for lack of memory: its limit is {limit:,.0f} MiB."
    return f"{spec.label} ended with exit code {state.get('ExitCode')}."
