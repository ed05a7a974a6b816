"""``python -m benchmarks.server.peers.torchserve_start MAR VERSION WORKDIR``: TorchServe with the twin.

In TorchServe's own environment, with our packages on the path. Settings are the project's own; only
tokens are off, which none of the peers has, and batching is set where it is on.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from serving.process import free_ports
from serving.torchserve.java import find_java
from serving.torchserve.launch import launch_command, launch_environment, prepare_folder
from serving.torchserve.settings import server_settings

HOST = "127.0.0.1"


def main(archive: Path, version: str, workdir: Path) -> None:
    """Become the front end's Java process."""
    name, batch = os.environ["BENCH_NAME"], int(os.environ["BENCH_BATCH"])
    settings = server_settings(HOST, _ports(), archive, name, workers=1)
    settings |= {"disable_token_authorization": "true"}
    if batch > 1:
        settings["models"] = json.dumps({name: {version: _model(archive, batch)}})
    prepare_folder(workdir, settings)
    command = launch_command(find_java(), workdir)
    cores = os.cpu_count() or 1
    os.chdir(workdir)
    os.execve(command[0], command, {**os.environ, **launch_environment(workdir, 1, cores)})


def _ports() -> dict[str, int]:
    management, metrics, grpc_management = free_ports(3)
    return {
        "rest": int(os.environ["BENCH_PORT"]),
        "grpc": int(os.environ["BENCH_GRPC_PORT"]),
        "management": management,
        "metrics": metrics,
        "grpc_management": grpc_management,
    }


def _model(archive: Path, batch: int) -> dict[str, object]:
    return {
        "defaultVersion": True,
        "marName": archive.name,
        "minWorkers": 1,
        "maxWorkers": 1,
        "batchSize": batch,
        "maxBatchDelay": max(1, round(float(os.environ["BENCH_WAIT_MS"]))),
        "responseTimeout": 60,
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
