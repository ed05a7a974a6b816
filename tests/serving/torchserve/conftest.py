"""A small scripted model, its archive, and one real TorchServe for all tests that need one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from models.contract import Contract, TensorSpec
from serving.process import ProcessServer
from serving.torchserve.client import GrpcClient, RestClient
from serving.torchserve.repository import pack, publish
from serving.torchserve.spec import torchserve_spec
from serving.torchserve.tokens import Tokens

HERE = Path(__file__).parent
IMAGES = Contract(
    inputs=(TensorSpec("image", "float32", (8, 8, 1), "grey levels", 0, 16),),
    outputs=(
        TensorSpec("logits", "float32", (10,)),
        TensorSpec("probabilities", "float32", (10,)),
    ),
    labels=tuple("0123456789"),
    scores="probabilities",
    logits="logits",
)
MIXED = Contract(
    inputs=(
        TensorSpec("key", "int64", (), "row of a table", 0, 2),
        TensorSpec("offset", "float32", (2,), "added to it", -1, 1),
    ),
    outputs=(TensorSpec("score", "float32", (2,)),),
    labels=("no", "yes"),
    scores="score",
    logits="score",
)


@dataclass(frozen=True)
class Scripted:
    """What ``make_model.py`` left.

    Attributes:
        folder: holds ``images.pt`` and ``mixed.pt``.
        inputs: image (9, 8, 8, 1) float32.
        outputs: the module's own answers in memory, (9, 10) float32 each.
    """

    folder: Path
    inputs: dict[str, np.ndarray]
    outputs: dict[str, np.ndarray]


@dataclass(frozen=True)
class Running:
    """A started TorchServe that serves the model ``images``."""

    server: ProcessServer
    tokens: Tokens

    def rest(self) -> RestClient:
        spec = self.server.spec
        urls = spec.url("rest"), spec.url("management")
        return RestClient(*urls, "images", IMAGES, self.tokens)

    def grpc(self) -> GrpcClient:
        spec = self.server.spec
        addresses = spec.address("grpc"), spec.url("management")
        return GrpcClient(*addresses, "images", IMAGES, self.tokens)


@pytest.fixture(scope="session")
def scripted(tmp_path_factory: pytest.TempPathFactory) -> Scripted:
    folder = tmp_path_factory.mktemp("scripted")
    subprocess.run([sys.executable, str(HERE / "make_model.py"), str(folder)], check=True)
    with np.load(folder / "images.npz") as stored:
        arrays = dict(stored)
    return Scripted(folder, {"image": arrays.pop("image")}, arrays)


@pytest.fixture(scope="session")
def store(scripted: Scripted, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model store with version 1 of ``images``."""
    folder = tmp_path_factory.mktemp("store")
    mar = pack(scripted.folder / "images.pt", IMAGES, "images", "1", folder / "packed" / "a.mar")
    publish(mar, folder, "images", "1")
    return folder


@pytest.fixture(scope="session")
def running(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    spec = torchserve_spec("images", store, tmp_path_factory.mktemp("torchserve"))
    server = ProcessServer(spec)
    try:
        server.start()
        server.wait_ready()
        yield Running(server, Tokens(spec.workdir, spec.url("management")))
    finally:
        server.stop()


@pytest.fixture
def rest(running: Running) -> Iterator[RestClient]:
    with running.rest() as client:
        yield client


@pytest.fixture
def grpc_client(running: Running) -> Iterator[GrpcClient]:
    with running.grpc() as client:
        yield client


@pytest.fixture(scope="session")
def images_contract() -> Contract:
    return IMAGES


@pytest.fixture(scope="session")
def mixed_contract() -> Contract:
    return MIXED
