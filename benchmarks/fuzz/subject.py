"""What is under test: a real embedded server with four models, and its good requests."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import psutil

from benchmarks.fuzz.good import Good, all_requests
from benchmarks.fuzz.inputs.served import BATCHED, DIGITS, HALF, LABEL, MIRROR, VERSIONS
from models.errors import ServerDied, ServerNotReady
from serving.process import ProcessServer
from serving.server import ServerSpec
from serving.tfserving.repository import publish
from serving.tfserving.spec import tfserving_spec

PROJECT = Path(__file__).resolve().parents[2]
WRITERS = PROJECT / "tests" / "serving" / "tfserving"
MONITORING = PROJECT / "serving" / "monitoring" / "tfserving.config"

WRITING_SECONDS = 180.0
READY_SECONDS = 120.0

_WRITERS = {"small": "saved_model_writer.py", "mirror": "batching_model_writer.py"}
_SAVED = {
    DIGITS: "small/saved_model",
    HALF: "small/examples/saved_model",
    BATCHED: "small/examples/saved_model",
    MIRROR: "mirror/saved_model",
}
_BATCHING = {
    BATCHED: "max_batch_size { value: 64 } batch_timeout_micros { value: 500 }",
    MIRROR: "max_batch_size { value: 8 } allowed_batch_sizes: [2, 8] pad_variable_length_inputs: true",
}
"""Room for every input that is sent at once, so that none is refused for want of it."""
_QUEUE = " max_enqueued_batches { value: 1000 }"


@dataclass(frozen=True)
class Subject:
    """A running server.

    Attributes:
        server: its process.
        goods: requests with known answers.
    """

    server: ProcessServer
    goods: Sequence[Good]

    @property
    def rest(self) -> tuple[str, int]:
        return self.server.spec.host, self.server.spec.ports["rest"]

    @property
    def grpc(self) -> str:
        return self.server.spec.address("grpc")

    def is_alive(self) -> bool:
        return self.server.is_alive()

    def how_it_ended(self) -> str:
        """Its exit code, in words; empty where it runs."""
        try:
            self.server.wait_ready(0.01)
        except ServerDied as error:
            return str(error)
        return ""

    def memory_bytes(self) -> int:
        """Of its whole process tree; 0 where it has ended."""
        return self.server.resident_bytes() if self.is_alive() else 0

    def open_files(self) -> int:
        """Sockets included; 0 where it has ended."""
        return int(psutil.Process(self.server.pid).num_fds()) if self.is_alive() else 0

    def log_from(self, offset: int) -> bytes:
        """What the server has said, without so many bytes at the beginning."""
        with self.server.log_path.open("rb") as log:
            log.seek(offset)
            return log.read()


@contextmanager
def running_subject() -> Iterator[Subject]:
    """Write the models, start the server, and stop it at the end; in a temporary folder.

    Raises:
        ServerNotReady: the models cannot be written, or the server does not get ready in time.
        ServerDied: it has ended.
    """
    with tempfile.TemporaryDirectory(prefix="twinserve-fuzz-") as name:
        folder = Path(name)
        _write_models(folder)
        server = ProcessServer(_spec(folder))
        try:
            server.start()
            server.wait_ready(READY_SECONDS)
            with np.load(folder / "small" / "reference.npz") as arrays:
                yield Subject(server, all_requests(dict(arrays)))
        finally:
            server.stop()


def _write_models(folder: Path) -> None:
    """The tests' models; TensorFlow is imported in processes of their own, side by side."""
    with ExitStack() as writing:
        for name, writer in _WRITERS.items():
            (folder / name).mkdir()
            command = [sys.executable, str(WRITERS / writer), str(folder / name)]
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            writing.callback(_check_written, writer, process)


def _check_written(writer: str, process: subprocess.Popen[bytes]) -> None:
    try:
        said, _ = process.communicate(timeout=WRITING_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise ServerNotReady(f"{writer} has not ended after {WRITING_SECONDS:.0f} s.") from error
    finally:
        process.kill()
        process.wait()
    if process.returncode:
        raise ServerDied(f"{writer} failed.", said.decode(errors="replace"))


def _spec(folder: Path) -> ServerSpec:
    """As ``tfserving_spec`` has it, but always the embedded one, and for all models."""
    entries = "".join(_published(folder, name) for name in _SAVED)
    config = folder / "models.config"
    config.write_text(f"model_config_list {{\n{entries}}}\n")
    spec = tfserving_spec(HALF, folder / "repository" / HALF, folder / "work")
    own = [each for each in spec.command if each.startswith("--")]
    options = (
        f"--model_config_file={config}",
        "--allow_version_labels_for_unavailable_models",  # half has one from the beginning
        "--enable_batching",
        "--enable_per_model_batching_parameters",
        f"--monitoring_config_file={MONITORING}",
        "--rest_api_enable_cors_support",
        "--enable_grpc_healthcheck_service",
    )
    program = (sys.executable, "-m", "serving.tfserving.embedded")
    environment = {**spec.environment, "PYTHONPATH": str(PROJECT)}
    return replace(spec, command=(*program, *own, *options), environment=environment)


def _published(folder: Path, name: str) -> str:
    """Puts a model where the server looks for it; its entry in the configuration."""
    version = VERSIONS[name]
    target = publish(folder / _SAVED[name], folder / "repository" / name, version)
    if name in _BATCHING:
        (target / "batching_params.pbtxt").write_text(_BATCHING[name] + _QUEUE)
    label = f' version_labels {{ key: "{LABEL}" value: {version} }}' if name == HALF else ""
    base = folder / "repository" / name
    platform = 'model_platform: "tensorflow"'
    return f'  config {{ name: "{name}" base_path: "{base}" {platform}{label} }}\n'
