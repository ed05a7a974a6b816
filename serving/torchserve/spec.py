"""How TorchServe is started."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from models.errors import ServerMissing, StorageError
from serving.process import free_ports
from serving.server import ServerSpec
from serving.torchserve.java import find_java
from serving.torchserve.readiness import ModelProbe
from serving.torchserve.repository import newest
from serving.torchserve.settings import server_settings, write_log_settings, write_properties

HOST = "127.0.0.1"
PURPOSES = ("rest", "management", "metrics", "grpc", "grpc_management")

JAVA_FLAGS = (
    # The front end only passes bytes on: the light collector and the quick compiler use less memory
    # (about 30 MB after load) and are no slower here.
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Xmx512m",
)
LONGEST_SOCKET_PATH = 100
"""Bytes. The kernel takes 107, and Java puts ``/.ts.sock.9000`` behind its temporary folder."""


def torchserve_spec(
    model_name: str,
    store: Path,
    workdir: Path,
    ports: Mapping[str, int] | None = None,
    workers: int = 1,
) -> ServerSpec:
    """What to run to serve the newest version of a model with TorchServe.

    Java is started directly: the ``torchserve`` command ends at once, passes no signals on, and
    finds its process again through a file in the temporary folder, which two instances would share.

    Args:
        model_name: the name it is served under.
        store: the model store, filled by :func:`serving.torchserve.repository.publish`.
        workdir: a folder of its own, which nothing else uses; settings, keys, logs and temporary
            files go there.
        ports: ``rest``, ``management``, ``metrics``, ``grpc``, ``grpc_management``; free ones are
            found for those that are missing.
        workers: Python processes for the model; they share all cores but one.

    Raises:
        ArtifactMissing: the store holds no archive of that model.
        ServerMissing: TorchServe, or a Java for it, is not installed.
        StorageError: the folder cannot be written.
    """
    label, home, java = torchserve_label(), _torchserve_home(), find_java()
    archive, workdir = newest(store.resolve(), model_name), workdir.resolve()
    chosen = _with_free_ports(ports or {})
    settings = server_settings(HOST, chosen, archive, model_name, workers)
    settings |= _worker_channel(workdir)
    _prepare(workdir, settings)
    return ServerSpec(
        name="torchserve",
        label=label,
        command=_command(java, home, workdir),
        workdir=workdir,
        ports=chosen,
        probe=ModelProbe(model_name, workdir, HOST, chosen["management"]),
        environment=_environment(home, workdir, workers),
        host=HOST,
    )


def torchserve_label() -> str:
    """``TorchServe 0.12.0``

    Raises:
        ServerMissing: it is not installed.
    """
    try:
        return f"TorchServe {version('torchserve')}"
    except PackageNotFoundError as error:
        raise ServerMissing("TorchServe is not installed.", "Run `make setup`.") from error


def _command(java: Path, home: Path, workdir: Path) -> tuple[str, ...]:
    return (
        str(java),
        *JAVA_FLAGS,
        f"-Dmodel_server_home={home}",
        f"-Djava.io.tmpdir={workdir / 'tmp'}",
        f"-Dlog4j.configurationFile={(workdir / 'log4j2.xml').as_uri()}",
        "-cp",
        str(home / "ts" / "frontend" / "*"),
        "org.pytorch.serve.ModelServer",
        "--python",
        sys.executable,
        "--ts-config-file",
        str(workdir / "config.properties"),
        "--no-config-snapshot",
    )


def _environment(home: Path, workdir: Path, workers: int) -> dict[str, str]:
    # One core is the front end's: two threads a worker on two cores halved the throughput.
    threads = max(1, ((os.cpu_count() or 1) - 1) // workers)
    return {
        # These two would overrule the command's own.
        "TS_CONFIG_FILE": str(workdir / "config.properties"),
        "TS_MODEL_SERVER_HOME": str(home),
        "TMPDIR": str(workdir / "tmp"),
        "TEMP": str(workdir / "tmp"),
        "LOG_LOCATION": str(workdir / "logs"),
        "METRICS_LOCATION": str(workdir / "logs"),
        "OMP_NUM_THREADS": str(threads),
    }


def _worker_channel(workdir: Path) -> dict[str, str]:
    """Workers are reached through a Unix socket in the folder; TCP where its path is too long."""
    socket = workdir / "tmp" / ".ts.sock.9000"
    if len(os.fsencode(socket)) <= LONGEST_SOCKET_PATH:
        return {}
    return {"use_native_io": "false", "initial_worker_port": str(free_ports(1)[0])}


def _prepare(workdir: Path, settings: Mapping[str, str]) -> None:
    try:
        for folder in ("tmp", "logs"):
            (workdir / folder).mkdir(parents=True, exist_ok=True)
        write_properties(settings, workdir / "config.properties")
        write_log_settings(workdir / "log4j2.xml")
    except OSError as error:
        raise StorageError(
            f"{workdir} cannot be written: {error.strerror or error}.",
            "Free some space, or choose a folder that can be written.",
        ) from error


def _with_free_ports(ports: Mapping[str, int]) -> dict[str, int]:
    missing = [purpose for purpose in PURPOSES if purpose not in ports]
    return {**ports, **dict(zip(missing, free_ports(len(missing)), strict=True))}


def _torchserve_home() -> Path:
    """The folder that holds the ``ts`` package; not imported, because it imports torch."""
    package = find_spec("ts")
    jar = "frontend/model-server.jar"
    if (
        package is None
        or package.origin is None
        or not (Path(package.origin).parent / jar).is_file()
    ):
        raise ServerMissing(f"The installed `ts` package has no {jar}.", "Run `make setup`.")
    return Path(package.origin).parent.parent
