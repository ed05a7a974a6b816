"""TorchServe's command, environment and files: the same for a process and inside the image.

Java is started directly: the ``torchserve`` command ends at once, passes no signals on, and finds
its process again through a file in the temporary folder, which two instances would share.

This module needs nothing but Python and the ``torchserve`` package, because the image holds little
more.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from models.errors import ServerMissing, StorageError
from serving.torchserve.settings import write_log_settings, write_properties

JAVA_FLAGS = (
    # The front end only passes bytes on: the light collector and the quick compiler use less memory
    # (about 30 MB after load) and are no slower here.
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Xmx512m",
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


def prepare_folder(workdir: Path, settings: Mapping[str, str]) -> None:
    """Make the folders below ``workdir`` and write both files of settings.

    Args:
        workdir: TorchServe's own folder.
        settings: from :func:`serving.torchserve.settings.server_settings`.

    Raises:
        StorageError: the folder cannot be written.
    """
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


def launch_command(java: Path, workdir: Path, more: Sequence[str] = ()) -> tuple[str, ...]:
    """Program and arguments; to be run with ``workdir`` as the working directory.

    Args:
        java: the Java to run it with.
        workdir: prepared by :func:`prepare_folder`.
        more: arguments for TorchServe's front end itself.

    Raises:
        ServerMissing: TorchServe is not installed.
    """
    home = _torchserve_home()
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
        *more,
    )


def launch_environment(workdir: Path, workers: int, cores: float) -> dict[str, str]:
    """Variables for the front end and its workers.

    Args:
        workdir: TorchServe's own folder.
        workers: Python processes for the model.
        cores: how many this server may use. One is the front end's: two threads a worker on two
            cores halved the throughput.

    Raises:
        ServerMissing: TorchServe is not installed.
    """
    return {
        # These two would overrule the command's own.
        "TS_CONFIG_FILE": str(workdir / "config.properties"),
        "TS_MODEL_SERVER_HOME": str(_torchserve_home()),
        "TMPDIR": str(workdir / "tmp"),
        "TEMP": str(workdir / "tmp"),
        "LOG_LOCATION": str(workdir / "logs"),
        "METRICS_LOCATION": str(workdir / "logs"),
        "OMP_NUM_THREADS": str(threads_of(workers, cores)),
    }


def threads_of(workers: int, cores: float) -> int:
    """Threads that a worker computes with: all cores but the front end's, shared by the workers."""
    return max(1, int(cores - 1) // workers)


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
