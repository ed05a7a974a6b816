"""A small model and a real embedded server on it, once a session."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.contract import Contract, TensorSpec
from serving.process import ProcessServer
from serving.server import ServerSpec
from serving.tfserving import spec as spec_module
from serving.tfserving.client import GrpcClient, RestClient
from serving.tfserving.repository import publish

MODEL = "digits"
WRITER = Path(__file__).with_name("saved_model_writer.py")
MIRROR_WRITER = Path(__file__).with_name("batching_model_writer.py")


@pytest.fixture(scope="session")
def contract() -> Contract:
    return Contract(
        inputs=(TensorSpec("image", "float32", (8, 8, 1), low=0, high=16),),
        outputs=(
            TensorSpec("logits", "float32", (10,)),
            TensorSpec("probabilities", "float32", (10,)),
        ),
        labels=tuple("0123456789"),
        scores="probabilities",
        logits="logits",
    )


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("written")
    done = subprocess.run(
        [sys.executable, str(WRITER), str(folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="session")
def saved_model(written: Path) -> Path:
    return written / "saved_model"


@pytest.fixture(scope="session")
def reference(written: Path) -> dict[str, np.ndarray]:
    """``image`` (20, 8, 8, 1), and the answers of the model in memory."""
    with np.load(written / "reference.npz") as arrays:
        return dict(arrays)


@pytest.fixture(scope="session")
def second_saved_model(written: Path) -> Path:
    """The same signature, other weights."""
    return written / "second" / "saved_model"


@pytest.fixture(scope="session")
def second_reference(written: Path) -> dict[str, np.ndarray]:
    """What ``second_saved_model`` answers to the same ``image``."""
    with np.load(written / "second" / "reference.npz") as arrays:
        return dict(arrays)


@pytest.fixture(scope="session")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds ``saved_model`` and ``warmup``; see the writer."""
    folder = tmp_path_factory.mktemp("mirror")
    done = subprocess.run(
        [sys.executable, str(MIRROR_WRITER), str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


SpecMaker = Callable[..., ServerSpec]


@pytest.fixture(scope="session")
def embedded_spec() -> SpecMaker:
    """``tfserving_spec``, for the embedded server even where TF Serving is installed."""

    def make(*arguments: Any) -> ServerSpec:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(spec_module, "PROGRAM", "no-such-model-server")
            return spec_module.tfserving_spec(*arguments)

    return make


@pytest.fixture(scope="session")
def server(
    saved_model: Path, tmp_path_factory: pytest.TempPathFactory, embedded_spec: SpecMaker
) -> Iterator[ProcessServer]:
    folder = tmp_path_factory.mktemp("served")
    publish(saved_model, folder / "repository", 3)
    running = ProcessServer(embedded_spec(MODEL, folder / "repository", folder / "work"))
    running.start()
    try:
        running.wait_ready(60)
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="session")
def examples_model(written: Path) -> Path:
    """``half_plus_two`` with TF Serving's names of signatures, and one for each element type."""
    return written / "examples" / "saved_model"


@pytest.fixture(scope="session")
def half_server(
    examples_model: Path, tmp_path_factory: pytest.TempPathFactory, embedded_spec: SpecMaker
) -> Iterator[ProcessServer]:
    """Serves it as ``half``, version 123, with every optional thing that both fronts can have."""
    folder = tmp_path_factory.mktemp("half")
    publish(examples_model, folder / "repository", 123)
    spec = embedded_spec("half", folder / "repository", folder / "work")
    extra = ("--rest_api_enable_cors_support", "--enable_grpc_healthcheck_service")
    running = ProcessServer(replace(spec, command=(*spec.command, *extra)))
    running.start()
    try:
        running.wait_ready(60)
        yield running
    finally:
        running.stop()


@pytest.fixture
def rest(server: ProcessServer, contract: Contract) -> Iterator[RestClient]:
    with RestClient(server.spec.url("rest"), MODEL, contract) as client:
        yield client


@pytest.fixture
def grpc_client(server: ProcessServer, contract: Contract) -> Iterator[GrpcClient]:
    with GrpcClient(server.spec.address("grpc"), MODEL, contract) as client:
        yield client


@pytest.fixture
def wait_until() -> Callable[[Callable[[], bool]], None]:
    """Asks again and again until it is so; a minute at most."""

    def wait(is_so: Callable[[], bool]) -> None:
        end = time.monotonic() + 60
        while not is_so():
            assert time.monotonic() < end, "it did not come to that within a minute"
            time.sleep(0.02)

    return wait
