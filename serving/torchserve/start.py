"""The image's entry point: ``python3 -m serving.torchserve.start [--workers=N] [--model-api] ...``

Serves the newest archive of the model that the variable MODEL_NAME names, from the store that is
mounted at ``/models``. Ends by becoming Java, so that a signal to the container reaches TorchServe.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from models.errors import ServerMissing, SettingsError, TwinServeError
from serving.torchserve.launch import (
    launch_command,
    launch_environment,
    prepare_folder,
    torchserve_label,
)
from serving.torchserve.repository import newest
from serving.torchserve.settings import server_settings

HOST = "0.0.0.0"  # inside the container; what is published, and to whom, the starter decides
PORTS = {"rest": 8080, "management": 8081, "metrics": 8082, "grpc": 7070, "grpc_management": 7071}
STORE = Path("/models")
WORKDIR = Path("/run/torchserve")
CONTROL_GROUP = Path("/sys/fs/cgroup")


def main() -> None:
    """Become TorchServe, or end with what is wrong."""
    try:
        command, variables = prepare(sys.argv[1:], os.environ)
    except TwinServeError as error:
        sys.exit(str(error))
    os.chdir(WORKDIR)  # TorchServe writes its key file into it
    os.execve(command[0], command, {**os.environ, **variables})


def prepare(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    store: Path = STORE,
    workdir: Path = WORKDIR,
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Write TorchServe's settings.

    Args:
        arguments: ``--workers``, ``--model-api``; what else there is goes to TorchServe's front end.
        environment: holds MODEL_NAME.
        store: where the archives are.
        workdir: the one folder that can be written.

    Returns:
        TorchServe's command, and the variables that it needs besides.

    Raises:
        SettingsError: MODEL_NAME is not set.
        ArtifactMissing: the store holds no archive of that model.
        ServerMissing: TorchServe or Java is not installed.
        StorageError: the folder cannot be written.
    """
    options, more = _parser().parse_known_args(arguments)
    model_name = environment.get("MODEL_NAME", "")
    if not model_name:
        raise SettingsError("MODEL_NAME is not set.", "Start the container with -e MODEL_NAME=...")
    archive = newest(store, model_name)
    settings = server_settings(HOST, PORTS, archive, model_name, options.workers, options.model_api)
    command = launch_command(_java(), workdir, more)
    variables = launch_environment(workdir, options.workers, usable_cores())
    prepare_folder(workdir, settings)
    print(f"{torchserve_label()} serves {archive.name}", file=sys.stderr, flush=True)
    return command, variables


def usable_cores(control_group: Path = CONTROL_GROUP) -> float:
    """Cores that this container may use: its limit, or all of the machine's.

    Args:
        control_group: where the kernel shows the container's limits, in either of its two forms.
    """
    found = float(len(os.sched_getaffinity(0)))
    for quota_file, period_file in (
        ("cpu.max", "cpu.max"),
        ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"),
    ):
        try:
            quota = (control_group / quota_file).read_text().split()[0]
            period = (control_group / period_file).read_text().split()[-1]
        except (OSError, IndexError):
            continue
        if quota not in ("max", "-1"):
            found = min(found, int(quota) / int(period))
    return found


def _java() -> Path:
    found = shutil.which("java")
    if found is None:
        raise ServerMissing(
            "There is no java on the PATH.", "Build the image again: `make images`."
        )
    return Path(found)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="serving.torchserve.start",
        description="Serve the newest archive of MODEL_NAME in /models with TorchServe.",
        epilog="Other arguments go to TorchServe's front end.",
        allow_abbrev=False,
    )
    parser.add_argument("--workers", type=_positive, default=1, help="Python processes")
    parser.add_argument(
        "--model-api",
        action="store_true",
        help="let the management token register and unregister archives of the store",
    )
    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of processes")
    return int(text)


if __name__ == "__main__":
    main()
