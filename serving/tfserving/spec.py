"""What to run for TF Serving's API: the real server where it is installed, else ours."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any
from urllib.parse import quote

from models.artifact import write_text
from serving.batching import ServerBatching
from serving.process import free_ports
from serving.server import Computing, Probe, Readiness, ServerSpec, read_versions
from serving.tfserving.embedded import LABEL as EMBEDDED_LABEL

PROGRAM = "tensorflow_model_server"
NAME = "tfserving"
HOST = "127.0.0.1"

THREADS = max(1, (os.cpu_count() or 1) - 1)
"""Threads that one request is computed with; one core is left to the front end."""

PROBE_SECONDS = 1.0
VERSION_SECONDS = 20.0

LOAD_BEGINS = "Loading servable version"
"""In the log of the real server (core/loader_harness.cc) and of ours, before anything of the model is read."""

BATCHING_FILE = "batching.pbtxt"
ENQUEUED_BATCHES = 100_000
"""Of a queue, before a request is refused; a sweep is about time, not about refusals."""

_PROJECT = Path(__file__).resolve().parents[2]


def tfserving_spec(
    model_name: str,
    repository: Path,
    workdir: Path,
    ports: Mapping[str, int] | None = None,
    batching: ServerBatching | None = None,
) -> ServerSpec:
    """A server for the newest version in a repository.

    The real server has no flag for the address it binds and listens on every one; the embedded
    server listens on loopback only.

    Args:
        model_name: the name under which clients ask for it.
        repository: holds a folder per version; see :func:`serving.tfserving.repository.publish`.
        workdir: for the log.
        ports: ``grpc`` and ``rest``; free ones where left out.
        batching: the server's own; None leaves it off. Its file is written into ``workdir``.

    Raises:
        StorageError: that file cannot be written.
    """
    grpc, rest = free_ports(2, HOST)
    chosen = {"grpc": grpc, "rest": rest, **(ports or {})}
    program = shutil.which(PROGRAM)
    said = _versions_of(program) if program else {"TensorFlow Library": installed("tensorflow")}
    command = (program,) if program else (sys.executable, "-m", "serving.tfserving.embedded")
    return ServerSpec(
        name=NAME,
        label=_label_of(said) if program else EMBEDDED_LABEL,
        command=(
            *command,
            *_flags(model_name, repository, chosen),
            *(_batching_flags(batching, workdir.resolve()) if batching else ()),
        ),
        workdir=workdir,
        ports=chosen,
        probe=StatusProbe(HOST, chosen["rest"], model_name),
        computing=Computing(1, THREADS),
        environment={} if program else {"PYTHONPATH": _python_path()},
        host=HOST,
        versions=said,
        load_begins=LOAD_BEGINS,
    )


@dataclass(frozen=True)
class StatusProbe:
    """Asks the status API once whether a version of the model is available."""

    host: str
    port: int
    model_name: str

    def __call__(self) -> Probe:
        try:
            status, body = self._get(f"/v1/models/{quote(self.model_name, safe='')}")
        except (OSError, http.client.HTTPException) as error:
            return Probe(Readiness.NOT_YET, str(error) or type(error).__name__)
        return read_status(status, body)

    def _get(self, path: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=PROBE_SECONDS)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode(errors="replace")
        finally:
            connection.close()


def read_status(status: int, body: str) -> Probe:
    """The answer of ``GET /v1/models/<name>`` as a Probe.

    READY where any version is AVAILABLE; NEVER where none is and one has ended with an error; else
    NOT_YET, an unknown model included, for the server may not have looked into the folder yet.
    """
    versions = _versions(body)
    seen = _describe(versions) or f"HTTP {status}: {body.strip()[:200]}"
    if any(each.get("state") == "AVAILABLE" for each in versions):
        return Probe(Readiness.READY, seen)
    if any(each.get("state") == "END" and _error_code(each) != "OK" for each in versions):
        return Probe(Readiness.NEVER, seen)
    return Probe(Readiness.NOT_YET, seen)


def _flags(model_name: str, repository: Path, ports: Mapping[str, int]) -> tuple[str, ...]:
    return (
        f"--port={ports['grpc']}",
        f"--rest_api_port={ports['rest']}",
        f"--model_name={model_name}",
        f"--model_base_path={repository.resolve()}",
        # A model that cannot be loaded is reported at once, not after five more minutes of trying.
        "--max_num_load_retries=0",
        # As many as TorchServe's worker has: the two are compared.
        f"--tensorflow_intra_op_parallelism={THREADS}",
    )


def _batching_flags(batching: ServerBatching, workdir: Path) -> tuple[str, ...]:
    """https://www.tensorflow.org/tfx/serving/serving_config#batching_configuration"""
    file = workdir / BATCHING_FILE
    values = {
        "max_batch_size": batching.rows,
        "batch_timeout_micros": batching.delay_ms * 1000,
        "max_enqueued_batches": ENQUEUED_BATCHES,
    }
    write_text(file, "".join(f"{name} {{ value: {value} }}\n" for name, value in values.items()))
    return ("--enable_batching=true", f"--batching_parameters_file={file}")


def _python_path() -> str:
    """Our own packages importable from any working directory."""
    inherited = os.environ.get("PYTHONPATH")
    return os.pathsep.join([str(_PROJECT), *([inherited] if inherited else [])])


def _versions_of(program: str) -> dict[str, str]:
    """What ``--version`` says: "TensorFlow ModelServer: 2.21.0", "TensorFlow Library: 2.21.0"."""
    try:
        said = subprocess.run(
            [program, "--version"],
            capture_output=True,
            text=True,
            timeout=VERSION_SECONDS,
            check=False,
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return {}
    return read_versions(said)


def _label_of(versions: Mapping[str, str]) -> str:
    found = re.match(r"\d[\w.]*", versions.get("TensorFlow ModelServer", ""))
    return f"TF Serving {found[0]}" if found else "TF Serving"


def _versions(body: str) -> list[dict[str, Any]]:
    try:
        versions = json.loads(body).get("model_version_status", [])
    except (ValueError, AttributeError):
        return []
    return [each for each in versions if isinstance(each, dict)]


def _describe(versions: list[dict[str, Any]]) -> str:
    return "; ".join(
        f"version {each.get('version')} is {each.get('state')}"
        + (f" ({each['status'].get('error_message', '')})" if _error_code(each) != "OK" else "")
        for each in versions
    )


def _error_code(version: dict[str, Any]) -> str:
    return str((version.get("status") or {}).get("error_code", "OK"))
