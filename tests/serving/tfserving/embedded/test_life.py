"""How the embedded server starts and ends: ports, signals, refusals, what it leaves behind."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from google.protobuf import text_format

from models.contract import Contract
from models.errors import PortInUse, RequestError, ServerDied, ServerNotReady
from models.predictor import Predictor, predict_in_batches
from serving.process import ProcessServer, free_ports
from serving.server import ServerSpec
from serving.tfserving.client import GrpcClient, RestClient
from serving.tfserving.lean_tensorflow import parts_of_tensorflow
from serving.tfserving.repository import publish

pytestmark = pytest.mark.servers

MODEL = "digits"
VERSION = 3
Reference = dict[str, np.ndarray]


def assert_answers(client: Predictor, reference: Reference, batch_size: int = 20) -> None:
    answers = predict_in_batches(client, {"image": reference["image"]}, batch_size)
    assert set(answers) == {"logits", "probabilities"}
    for name, array in answers.items():
        assert array.dtype == np.float32
        np.testing.assert_allclose(array, reference[name], atol=1e-5)


@contextmanager
def changing(binary: Path) -> Iterator[Any]:
    """The message in a ``saved_model.pb``, written back after the block."""
    with parts_of_tensorflow():
        from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

        saved = SavedModel.FromString(binary.read_bytes())
    yield saved
    binary.unlink()  # published files are links to the exported ones
    binary.write_bytes(saved.SerializeToString())


class TestLife:
    """Starting and ending; every server here is one of its own."""

    @pytest.fixture
    def repository(self, saved_model: Path, tmp_path: Path) -> Path:
        publish(saved_model, tmp_path / "repository", 1)
        return tmp_path / "repository"

    @pytest.fixture
    def as_text(self, repository: Path) -> Path:
        """The same, its graph in protobuf's text format."""
        binary = repository / "1" / "saved_model.pb"
        with changing(binary) as saved:
            binary.with_suffix(".pbtxt").write_text(text_format.MessageToString(saved))
        binary.unlink()
        return repository

    @pytest.fixture
    def start(self, tmp_path: Path, embedded_spec: Callable[..., ServerSpec]) -> Any:
        started: list[ProcessServer] = []

        def start(repository: Path, **ports: int) -> ProcessServer:
            server = ProcessServer(embedded_spec(MODEL, repository, tmp_path / "work", ports))
            started.append(server)
            server.start()
            return server

        yield start
        for server in started:
            server.stop()

    def test_sigterm_ends_it_with_zero(
        self, start: Any, repository: Path, contract: Contract, reference: Reference
    ) -> None:
        server = start(repository)
        server.wait_ready(60)
        process = psutil.Process(server.pid)
        with (
            RestClient(server.spec.url("rest"), MODEL, contract) as rest,
            GrpcClient(server.spec.address("grpc"), MODEL, contract) as over_grpc,
        ):  # connections that are kept open do not hold it up
            assert_answers(rest, reference)
            assert_answers(over_grpc, reference)
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=20) == 0
        assert "Stopping" in server.log_tail()
        with pytest.raises(ServerDied):
            server.wait_ready(1)

    def test_sigterm_lets_a_request_finish(
        self, start: Any, repository: Path, contract: Contract, reference: Reference
    ) -> None:
        server = start(repository)
        server.wait_ready(60)
        image = np.tile(reference["image"], (1000, 1, 1, 1))
        with (
            RestClient(server.spec.url("rest"), MODEL, contract) as rest,
            ThreadPoolExecutor(1) as thread,
        ):
            cpu_before = server.cpu_seconds()
            answer = thread.submit(rest.predict, {"image": image})
            while server.cpu_seconds() < cpu_before + 0.05 and not answer.done():
                pass  # until the server is at work on it
            psutil.Process(server.pid).send_signal(signal.SIGTERM)
            assert answer.result()["logits"].shape == (len(image), 10)

    def test_log_and_label_say_embedded(self, server: ProcessServer) -> None:
        first = server.log_path.read_text().splitlines()[0]
        assert server.spec.label == "TF Serving API (embedded)"
        assert server.spec.label in first
        assert "TensorFlow Serving" not in server.log_path.read_text()

    def test_the_highest_number_is_served(
        self, start: Any, repository: Path, saved_model: Path, contract: Contract
    ) -> None:
        publish(saved_model, repository, 9)
        publish(saved_model, repository, 10)
        (repository / "notes").mkdir()
        server = start(repository)
        server.wait_ready(60)
        assert "version 10 is AVAILABLE" in server.spec.probe().seen

    def test_it_listens_on_loopback_only(self, server: ProcessServer) -> None:
        listening = [
            connection.laddr
            for connection in psutil.Process(server.pid).net_connections("inet")
            if connection.status == psutil.CONN_LISTEN
        ]
        addresses = {address.ip.removeprefix("::ffff:") for address in listening}
        assert addresses == {"127.0.0.1"}
        assert {address.port for address in listening} == set(server.spec.ports.values())

    @pytest.mark.parametrize("address", ["127.0.0.2", "0.0.0.0"])
    def test_it_listens_where_it_is_told(
        self,
        repository: Path,
        tmp_path: Path,
        embedded_spec: Callable[..., ServerSpec],
        address: str,
    ) -> None:
        spec = embedded_spec(MODEL, repository, tmp_path / "work")
        flag = f"--bind_address={address}"
        server = ProcessServer(replace(spec, command=(*spec.command, flag)))
        reached = "127.0.0.1" if address == "0.0.0.0" else address
        server.start()
        try:
            wait_for_port(server, reached, spec.ports["rest"])
            wait_for_port(server, reached, spec.ports["grpc"])
            assert opens("127.0.0.1", spec.ports["rest"]) is (reached == "127.0.0.1")
        finally:
            server.stop()

    def test_an_address_that_is_not_this_machine_s(
        self, repository: Path, tmp_path: Path, embedded_spec: Callable[..., ServerSpec]
    ) -> None:
        spec = embedded_spec(MODEL, repository, tmp_path)
        command = (*spec.command, "--bind_address=192.0.2.1")  # an address for documentation
        done = run(command, dict(spec.environment))
        assert done.returncode == 255
        assert "on 192.0.2.1 cannot be had: Cannot assign requested address" in done.stdout

    def test_a_bare_environment_is_enough(
        self, repository: Path, tmp_path: Path, embedded_spec: Callable[..., ServerSpec]
    ) -> None:
        """No HOME, no USER, nothing of ours, in a folder that is not to be written to."""
        spec = embedded_spec(MODEL, repository, tmp_path / "work")
        folder = tmp_path / "read-only"
        folder.mkdir(mode=0o555)
        bare = {"PATH": os.defpath, "PYTHONPATH": spec.environment["PYTHONPATH"]}
        with subprocess.Popen(
            spec.command, env=bare, cwd=folder, stderr=subprocess.PIPE
        ) as process:
            try:
                while "AVAILABLE" not in spec.probe().seen:
                    assert process.poll() is None, process.stderr and process.stderr.read()
            finally:
                process.terminate()
            assert process.wait(timeout=60) == 0
        assert not list(folder.iterdir())

    def test_a_taken_port_is_named_before_the_start(self, start: Any, repository: Path) -> None:
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            with pytest.raises(PortInUse):
                start(repository, rest=other.getsockname()[1])

    @pytest.mark.parametrize("purpose", ["grpc", "rest"])
    def test_a_port_taken_since_ends_the_server(
        self,
        repository: Path,
        tmp_path: Path,
        embedded_spec: Callable[..., ServerSpec],
        purpose: str,
    ) -> None:
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            taken = other.getsockname()[1]
            spec = embedded_spec(MODEL, repository, tmp_path, {purpose: taken})
            done = run(spec.command, dict(spec.environment))
        assert done.returncode == 255
        assert f"Port {taken} on 127.0.0.1 is taken" in done.stdout

    @pytest.mark.parametrize(
        ("exists", "words"),
        [(False, "Could not find base path"), (True, "No versions of servable digits found")],
    )
    def test_it_waits_for_the_first_version(
        self,
        repository: Path,
        tmp_path: Path,
        embedded_spec: Callable[..., ServerSpec],
        wait_until: Callable[[Callable[[], bool]], None],
        exists: bool,
        words: str,
    ) -> None:
        """As TF Serving does, for ever; no port is open until then."""
        folder = tmp_path / "later"
        if exists:
            folder.mkdir()
        server = ProcessServer(embedded_spec(MODEL, folder, tmp_path / "work"))
        server.start()
        try:
            wait_until(lambda: words in server.log_tail())
            assert not opens("127.0.0.1", server.spec.ports["rest"])
            assert not opens("127.0.0.1", server.spec.ports["grpc"])
            shutil.copytree(repository, folder, dirs_exist_ok=True)
            server.wait_ready(60)
        finally:
            server.stop()

    def test_it_does_not_wait_where_it_looks_only_once(
        self, tmp_path: Path, embedded_spec: Callable[..., ServerSpec]
    ) -> None:
        spec = embedded_spec(MODEL, tmp_path, tmp_path / "work")
        done = run((*spec.command, "--file_system_poll_wait_seconds=0"), dict(spec.environment))
        assert done.returncode == 255
        assert "Failed to start server. Error: NOT_FOUND: No versions of servable" in done.stdout

    def test_sigterm_ends_the_waiting(
        self,
        tmp_path: Path,
        embedded_spec: Callable[..., ServerSpec],
        wait_until: Callable[[Callable[[], bool]], None],
    ) -> None:
        server = ProcessServer(embedded_spec(MODEL, tmp_path / "later", tmp_path / "work"))
        server.start()
        wait_until(lambda: "Could not find base path" in server.log_tail())
        process = psutil.Process(server.pid)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0

    @pytest.mark.parametrize(
        "file",
        ["saved_model.pb", "variables/variables.data-00000-of-00001", "variables/variables.index"],
    )
    def test_a_truncated_saved_model(
        self, start: Any, saved_model: Path, tmp_path: Path, file: str
    ) -> None:
        copy = tmp_path / "repository" / "1"
        shutil.copytree(saved_model, copy)
        whole = (copy / file).read_bytes()
        (copy / file).write_bytes(whole[: len(whole) // 2])
        server = start(tmp_path / "repository")
        with pytest.raises((ServerDied, ServerNotReady), match="did not become available"):
            server.wait_ready(60)
        assert "Traceback" not in server.log_tail(200)

    def test_a_saved_model_as_text(
        self,
        start: Any,
        as_text: Path,
        contract: Contract,
        reference: Reference,
    ) -> None:
        server = start(as_text)
        server.wait_ready(60)
        with RestClient(server.spec.url("rest"), MODEL, contract) as rest:
            assert_answers(rest, reference)

    def test_a_broken_saved_model_as_text(self, start: Any, as_text: Path) -> None:
        file = as_text / "1" / "saved_model.pbtxt"
        file.write_bytes(file.read_bytes()[:-100] + b"\xff")
        server = start(as_text)
        with pytest.raises((ServerDied, ServerNotReady), match="did not become available"):
            server.wait_ready(60)
        assert f"DATA_LOSS: Can't parse {file} as text proto" in server.log_tail(200)

    @pytest.mark.parametrize("name", ["../../vocabulary.txt", "/vocabulary.txt"])
    def test_an_asset_outside_the_folder(self, start: Any, repository: Path, name: str) -> None:
        folder = repository / "1"
        (repository / "vocabulary.txt").touch()
        with changing(folder / "saved_model.pb") as saved:
            saved.meta_graphs[0].asset_file_def.add(filename=name).tensor_info.name = "Const:0"
        server = start(repository)
        with pytest.raises((ServerDied, ServerNotReady), match="did not become available"):
            server.wait_ready(60)
        assert f"{folder}: the asset {name} is outside the version's folder" in server.log_tail(200)

    def test_nobody_there_is_unreachable(self, contract: Contract, reference: Reference) -> None:
        [port] = free_ports(1)
        inputs = {"image": reference["image"]}
        with RestClient(f"http://127.0.0.1:{port}", MODEL, contract, 2) as rest:
            assert_unreachable(rest, inputs)
        with GrpcClient(f"127.0.0.1:{port}", MODEL, contract, 2) as over_grpc:
            assert_unreachable(over_grpc, inputs)


def assert_unreachable(client: Predictor, inputs: Reference) -> None:
    with pytest.raises(RequestError) as failed:
        client.predict(inputs)
    assert type(failed.value).__name__ == "Unreachable"


def opens(address: str, port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex((address, port)) == 0


def wait_for_port(server: ProcessServer, address: str, port: int) -> None:
    end = time.monotonic() + 60
    while not opens(address, port):
        assert time.monotonic() < end, server.log_tail()
        assert server.is_alive(), server.log_tail()
        time.sleep(0.05)


def run(command: tuple[str, ...], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
