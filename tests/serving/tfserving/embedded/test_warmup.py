"""Recorded requests that a version answers before it is offered."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from serving.process import ProcessServer
from serving.server import ServerSpec
from serving.tfserving.repository import publish

pytestmark = pytest.mark.servers

MODEL = "mirror"


@pytest.fixture
def spec_with(
    mirror: Path, tmp_path: Path, embedded_spec: Callable[..., ServerSpec]
) -> Callable[[Path], ServerSpec]:
    """A server of a version with this file of requests."""

    def make(requests: Path) -> ServerSpec:
        folder = publish(mirror / "saved_model", tmp_path / "repository", 1)
        (folder / "assets.extra").mkdir()
        shutil.copy(requests, folder / "assets.extra" / "tf_serving_warmup_requests")
        return embedded_spec(MODEL, tmp_path / "repository", tmp_path / "work")

    return make


def ended(spec: ServerSpec, *flags: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*spec.command, "--max_num_load_retries=0", *flags],
        env={**os.environ, **spec.environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def log_of(spec: ServerSpec, *flags: str) -> str:
    server = ProcessServer(replace(spec, command=(*spec.command, *flags)))
    server.start()
    try:
        server.wait_ready(60)
        return server.log_path.read_text()
    finally:
        server.stop()


@pytest.mark.parametrize(
    "flags", [(), ("--num_request_iterations_for_warmup=3",), ("--enable_batching",)]
)
def test_requests_are_answered_first(
    mirror: Path, spec_with: Callable[[Path], ServerSpec], flags: tuple[str, ...]
) -> None:
    log = log_of(spec_with(mirror / "warmup" / "good"), *flags)
    assert "Number of warmup records read: 3." in log
    assert log.index("Finished reading warmup data") < log.index("Successfully loaded")


def test_no_warm_up_where_it_is_off(mirror: Path, spec_with: Callable[[Path], ServerSpec]) -> None:
    log = log_of(spec_with(mirror / "warmup" / "failing"), "--enable_model_warmup=false")
    assert "warmup data" not in log


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("failing", "negative"),
        ("streamed", "UNIMPLEMENTED: Unsupported log_type for warmup: 7"),
        ("many", "Number of warmup records exceeds the maximum (1000) at "),
    ],
)
def test_a_request_that_fails_fails_the_version(
    mirror: Path, spec_with: Callable[[Path], ServerSpec], name: str, words: str
) -> None:
    done = ended(spec_with(mirror / "warmup" / name))
    assert done.returncode == 255
    assert words in done.stdout + done.stderr


def test_a_request_that_fits_in_no_batch_fails_the_version(
    mirror: Path, spec_with: Callable[[Path], ServerSpec], tmp_path: Path
) -> None:
    """Recorded requests go through batches where others do."""
    parameters = tmp_path / "parameters"
    parameters.write_text("max_batch_size { value: 1 } allowed_batch_sizes: 1")
    spec = spec_with(mirror / "warmup" / "wide")
    done = ended(spec, "--enable_batching", f"--batching_parameters_file={parameters}")
    assert done.returncode == 255
    assert "Task size 2 is larger than maximum input batch size 1" in done.stdout


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda data: b"no records", "truncated record at 0"),
        (lambda data: data[:-3], "truncated record at "),
        (lambda data: data[:14] + b"?" + data[15:], "corrupted record at "),
        (lambda data: data + b"\x01", "truncated record at "),
    ],
    ids=["text", "cut off", "changed", "followed"],
)
def test_a_damaged_file_fails_the_version(
    mirror: Path,
    spec_with: Callable[[Path], ServerSpec],
    tmp_path: Path,
    change: Callable[[bytes], bytes],
    words: str,
) -> None:
    damaged = tmp_path / "damaged"
    damaged.write_bytes(change((mirror / "warmup" / "good").read_bytes()))
    done = ended(spec_with(damaged))
    assert done.returncode == 255
    assert f"DATA_LOSS: {words}" in done.stdout
    assert "Please verify your warmup data is in TFRecord format." in done.stdout
