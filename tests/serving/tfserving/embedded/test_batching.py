"""Batches, as clients of a real server see them.

Most models here wait a minute for a batch to fill, so that an answer that comes is the answer of a
batch that was full. One server has them all, each with parameters of its own.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
import pytest

from serving.process import ProcessServer
from serving.server import ServerSpec
from serving.tfserving.messages import (
    ModelServiceStub,
    PredictionServiceStub,
    PredictRequest,
    ReloadConfigRequest,
)
from serving.tfserving.repository import publish
from serving.tfserving.tensor_proto import from_proto, to_proto

pytestmark = pytest.mark.servers

MODEL = "mirror"
SECONDS = 30.0
WAIT_LONG = "batch_timeout_micros { value: 60000000 }"

OWN_FILE = "batching_params.pbtxt"

Rows = list[list[float]]
Start = Callable[[str], Any]
Serve = Callable[[str | None], Any]


class Client:
    """Asks one server over both protocols."""

    def __init__(self, server: ProcessServer, model: str = MODEL) -> None:
        self.server = server
        self.model = model
        self.channel = grpc.insecure_channel(server.spec.address("grpc"))
        self.stub = PredictionServiceStub(self.channel)

    def over_grpc(
        self,
        seconds: float = SECONDS,
        signature: str = "",
        wanted: tuple[str, ...] = (),
        **inputs: Any,
    ) -> dict[str, np.ndarray]:
        request = PredictRequest(output_filter=wanted)
        request.model_spec.name = self.model
        request.model_spec.signature_name = signature
        for name, rows in inputs.items():
            request.inputs[name].CopyFrom(to_proto(np.array(rows, np.float32)))
        answer = self.stub.Predict(request, timeout=seconds)
        return {name: from_proto(proto) for name, proto in answer.outputs.items()}

    def over_rest(self, **inputs: Any) -> dict[str, np.ndarray]:
        url = f"{self.server.spec.url('rest')}/v1/models/{self.model}:predict"
        answer = httpx.post(url, json={"inputs": inputs}, timeout=SECONDS, trust_env=False)
        assert answer.status_code == 200, answer.text
        return {name: np.array(rows) for name, rows in answer.json()["outputs"].items()}


class Models:
    """A server that is given one model after the other."""

    def __init__(self, server: ProcessServer, model: Path, folder: Path) -> None:
        self._server, self._model, self._folder = server, model, folder
        self._config = ReloadConfigRequest()

    def serve(self, parameters: str | None) -> Client:
        """A client of one more model, with these parameters in its version's folder."""
        models = self._config.config.model_config_list.config
        name = f"mirror_{len(models)}"
        publish(self._model, self._folder / name, 1)
        if parameters is not None:
            (self._folder / name / "1" / OWN_FILE).write_text(parameters)
        models.add(name=name, base_path=str(self._folder / name), model_platform="tensorflow")
        client = Client(self._server, name)
        ModelServiceStub(client.channel).HandleReloadConfigRequest(self._config, timeout=SECONDS)
        return client


@pytest.fixture(scope="module")
def serve(
    mirror: Path, tmp_path_factory: pytest.TempPathFactory, embedded_spec: Callable[..., ServerSpec]
) -> Iterator[Serve]:
    """A client of a model with these parameters; None leaves the version without any."""
    folder = tmp_path_factory.mktemp("batching")
    publish(mirror / "saved_model", folder / "first", 1)
    common = folder / "parameters"
    common.write_text("max_batch_size { value: 1 }")
    spec = embedded_spec(MODEL, folder / "first", folder / "work")
    extra = (
        "--enable_batching",
        f"--batching_parameters_file={common}",
        "--enable_per_model_batching_parameters",
    )
    server = ProcessServer(replace(spec, command=(*spec.command, *extra)))
    server.start()
    try:
        server.wait_ready(60)
        yield Models(server, mirror / "saved_model", folder).serve
    finally:
        server.stop()


@pytest.fixture
def start(
    mirror: Path, tmp_path: Path, embedded_spec: Callable[..., ServerSpec]
) -> Iterator[Start]:
    """A client of a server of its own, with these parameters for all models."""
    running: list[ProcessServer] = []

    def begin(parameters: str) -> Client:
        file = tmp_path / "parameters"
        file.write_text(parameters)
        publish(mirror / "saved_model", tmp_path / "repository", 1)
        spec = embedded_spec(MODEL, tmp_path / "repository", tmp_path / "work")
        extra = ("--enable_batching", f"--batching_parameters_file={file}")
        server = ProcessServer(replace(spec, command=(*spec.command, *extra)))
        running.append(server)
        server.start()
        server.wait_ready(60)
        return Client(server)

    yield begin
    for server in running:
        server.stop()


@contextmanager
def asking(*questions: Callable[[], Any]) -> Iterator[list[Future[Any]]]:
    with ThreadPoolExecutor(len(questions)) as threads:
        yield [threads.submit(question) for question in questions]


def refused(question: Callable[[], Any]) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as caught:
        question()
    return caught.value.code(), caught.value.details() or ""


def ones(rows: int, width: int = 2) -> Rows:
    return [[1.0] * width] * rows


def test_rest_and_grpc_share_a_batch(start: Start) -> None:
    client = start(f"max_batch_size {{ value: 4 }} {WAIT_LONG}")
    with asking(
        lambda: client.over_grpc(x=[[1, 1]]), lambda: client.over_rest(x=[[2, 2], [3, 3], [4, 4]])
    ) as (first, second):
        np.testing.assert_array_equal(first.result()["double"], [[2, 2]])
        np.testing.assert_array_equal(second.result()["double"], [[4, 4], [6, 6], [8, 8]])
        assert first.result()["rows"] == [4]
        assert set(second.result()["total"]) == {20}


def test_signatures_and_choices_of_outputs_do_not_mix(serve: Serve) -> None:
    client = serve("max_batch_size { value: 2 } batch_timeout_micros { value: 100000 }")
    with asking(
        lambda: client.over_grpc(x=ones(1)),
        lambda: client.over_grpc(signature="pair", a=[1], b=[2]),
        lambda: client.over_grpc(x=ones(1), wanted=("rows",)),
    ) as (default, pair, chosen):
        assert default.result()["rows"] == [1]
        assert pair.result()["b"] == [4]
        assert {name: list(rows) for name, rows in chosen.result().items()} == {"rows": [1]}


def test_a_batch_with_room_runs_after_its_timeout(serve: Serve) -> None:
    client = serve("max_batch_size { value: 100 } batch_timeout_micros { value: 50000 }")
    assert client.over_grpc(x=ones(3))["rows"].tolist() == [3, 3, 3]


def test_without_a_timeout_nobody_waits(serve: Serve) -> None:
    client = serve("# nothing set")
    for rows in (1, 2, 3):
        assert len(client.over_grpc(x=ones(rows))["rows"]) == rows


def test_a_batch_is_filled_up_with_a_first_row(serve: Serve) -> None:
    client = serve(
        "max_batch_size { value: 8 } allowed_batch_sizes: 4 allowed_batch_sizes: 8 "
        "batch_timeout_micros { value: 1000 }"
    )
    answer = client.over_grpc(x=[[5, 0], [1, 0]])
    assert answer["double"].tolist() == [[10, 0], [2, 0]]
    assert answer["rows"].tolist() == [4, 4]
    assert answer["total"].tolist() == [16, 16]  # 5 + 1, and 5 twice more


def test_requests_that_fit_in_no_batch(serve: Serve) -> None:
    client = serve("max_batch_size { value: 4 } batch_timeout_micros { value: 1000 }")
    invalid = grpc.StatusCode.INVALID_ARGUMENT
    assert refused(lambda: client.over_grpc(x=ones(5))) == (
        invalid,
        "Task size 5 is larger than maximum input batch size 4",
    )
    assert refused(lambda: client.over_grpc(signature="pair", a=[1], b=[1, 2])) == (
        invalid,
        "Batching Run() input tensors must have equal 0th-dimension size",
    )
    assert refused(lambda: client.over_grpc(signature="pair", a=1, b=1)) == (
        invalid,
        "Batching Run() input tensors must have at least one dimension",
    )
    assert len(client.over_grpc(x=ones(4))["rows"]) == 4


def test_outputs_without_the_batch_s_rows(serve: Serve) -> None:
    client = serve("max_batch_size { value: 4 } batch_timeout_micros { value: 1000 }")
    failed = grpc.StatusCode.FAILED_PRECONDITION
    assert refused(lambda: client.over_grpc(signature="odd", x=ones(2), wanted=("sum",))) == (
        failed,
        "Batched output tensor has 0 dimensions",
    )
    code, words = refused(
        lambda: client.over_grpc(signature="odd", x=ones(2), wanted=("double", "first"))
    )
    assert code is failed
    assert words.startswith("Batched output tensor's 0th dimension does not equal the sum")
    answer = client.over_grpc(signature="odd", x=ones(2), wanted=("double",))
    assert answer["double"].tolist() == [[2, 2], [2, 2]]


def test_other_shapes_are_refused_or_filled_up(serve: Serve) -> None:
    parameters = f"max_batch_size {{ value: 2 }} {WAIT_LONG}"
    client = serve(parameters)
    questions = (lambda: client.over_grpc(x=[[1, 2, 3]]), lambda: client.over_grpc(x=[[4, 5]]))
    with asking(*questions) as both:
        for question in both:
            code, words = refused(question.result)
            assert code is grpc.StatusCode.FAILED_PRECONDITION
            assert words.startswith("Tensors with name 'x' from different tasks have different")
    client = serve(f"{parameters} pad_variable_length_inputs: true")
    with asking(*questions) as (wide, narrow):
        assert wide.result()["double"].tolist() == [[2, 4, 6]]
        assert narrow.result()["double"].tolist() == [[8, 10, 8]]


def test_an_error_reaches_its_batch_and_no_other(serve: Serve) -> None:
    client = serve(f"max_batch_size {{ value: 2 }} {WAIT_LONG}")
    with asking(
        lambda: client.over_grpc(x=[[1, 1]]), lambda: client.over_grpc(x=[[-1, -1]])
    ) as both:
        for question in both:
            code, words = refused(question.result)
            assert code is grpc.StatusCode.INVALID_ARGUMENT
            assert "negative" in words
    assert client.over_grpc(x=ones(2))["rows"].tolist() == [2, 2]


def test_a_full_queue_refuses_at_once(serve: Serve) -> None:
    client = serve(f"max_batch_size {{ value: 2 }} max_enqueued_batches {{ value: 1 }} {WAIT_LONG}")
    with asking(lambda: client.over_grpc(x=ones(1))) as (waiting,):
        assert wait_until_full(client) == (
            grpc.StatusCode.UNAVAILABLE,
            "The batch scheduling queue to which this task was submitted is full; currently 1 "
            "batches enqueued and max_enqueued_batches is 1",
        )
        assert not waiting.done()
        client.over_grpc(x=ones(1))
        assert waiting.result()["rows"] == [2]


def wait_until_full(client: Client) -> tuple[grpc.StatusCode, str]:
    """Until a first row waits in a queue for one batch of two: two more are refused then."""
    for _ in range(1000):
        try:
            client.over_grpc(x=ones(2))
        except grpc.RpcError as error:
            return error.code(), error.details() or ""
    raise AssertionError("the queue is never full")


def test_large_requests_are_split(serve: Serve) -> None:
    client = serve(
        "max_batch_size { value: 10 } enable_large_batch_splitting { value: true } "
        f"max_execution_batch_size {{ value: 4 }} {WAIT_LONG}"
    )
    with asking(
        lambda: client.over_grpc(x=[[float(row), 0.0] for row in range(10)]),
        lambda: client.over_rest(x=[[100.0, 0.0], [101.0, 0.0]]),
    ) as (large, small):
        assert large.result()["double"][:, 0].tolist() == list(range(0, 20, 2))
        assert set(large.result()["rows"]) == {4}
        assert small.result()["double"][:, 0].tolist() == [200, 202]
    _, words = refused(lambda: client.over_grpc(x=ones(11)))
    assert words == "Task size 11 is larger than maximum input batch size 10"


def test_who_gives_up_leaves_nothing_behind(serve: Serve) -> None:
    client = serve(f"max_batch_size {{ value: 2 }} {WAIT_LONG}")
    code, _ = refused(lambda: client.over_grpc(seconds=0.5, x=ones(1)))
    assert code is grpc.StatusCode.DEADLINE_EXCEEDED
    answer = client.over_grpc(x=ones(2))  # needs a new batch, so the first one is done with
    assert answer["total"].tolist() == [4, 4]


@pytest.fixture
def hurried(
    mirror: Path, tmp_path: Path, embedded_spec: Callable[..., ServerSpec]
) -> Iterator[Client]:
    """A client of a server that lets REST wait for half a second, and batches for a minute."""
    parameters = tmp_path / "parameters"
    parameters.write_text(f"max_batch_size {{ value: 2 }} {WAIT_LONG}")
    publish(mirror / "saved_model", tmp_path / "repository", 1)
    spec = embedded_spec(MODEL, tmp_path / "repository", tmp_path / "work")
    extra = (
        "--enable_batching",
        f"--batching_parameters_file={parameters}",
        "--rest_api_timeout_in_ms=500",
    )
    server = ProcessServer(replace(spec, command=(*spec.command, *extra)))
    server.start()
    try:
        server.wait_ready(60)
        yield Client(server)
    finally:
        server.stop()


def test_time_that_is_over_in_the_queue(hurried: Client) -> None:
    url = f"{hurried.server.spec.url('rest')}/v1/models/{MODEL}:predict"
    answer = httpx.post(url, json={"inputs": ones(1)}, timeout=SECONDS, trust_env=False)
    assert (answer.status_code, answer.json()) == (
        429,
        {"error": "Run() timeout exceeded while waiting in batching queue"},
    )
    assert hurried.over_rest(x=ones(2))["rows"].tolist() == [2, 2]  # nothing is left behind
    code, _ = refused(lambda: hurried.over_grpc(seconds=2, x=ones(1)))
    assert code is grpc.StatusCode.DEADLINE_EXCEEDED  # the limit is REST's: here it is the client's


def test_parameters_of_the_version_s_own(serve: Serve) -> None:
    """The server's own, for batches of one row, hold for neither."""
    own = "max_batch_size { value: 3 } allowed_batch_sizes: 3 batch_timeout_micros { value: 100 }"
    assert serve(own).over_grpc(x=ones(1))["rows"] == [3]
    assert serve(None).over_grpc(x=ones(5))["rows"].tolist() == [5] * 5  # not batched at all


def test_sigterm_lets_a_batch_finish(start: Start) -> None:
    client = start(
        "max_batch_size { value: 2 } max_enqueued_batches { value: 1 } "
        "batch_timeout_micros { value: 2000000 }"
    )
    with asking(lambda: client.over_grpc(x=ones(1))) as (answer,):
        wait_until_full(client)
        os.kill(client.server.pid, signal.SIGTERM)
        assert answer.result()["rows"] == [1]


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ("num_batch_threads { value: 0 }", "num_batch_threads must be positive; was 0"),
        ("max_batch_size: 3", "Invalid protobuf file: "),
        (
            "max_batch_size { value: 3 } allowed_batch_sizes: 2",
            "Last entry in allowed_batch_sizes must match max_batch_size; last entry was 2; "
            "expected 3",
        ),
        (
            "batch_timeout_micros { value: -1 }",
            "batch_timeout_micros must be non-negative; was -1",
        ),
    ],
)
def test_parameters_that_cannot_be_used_end_the_server(
    mirror: Path,
    tmp_path: Path,
    embedded_spec: Callable[..., ServerSpec],
    parameters: str,
    words: str,
) -> None:
    file = tmp_path / "parameters"
    file.write_text(parameters)
    publish(mirror / "saved_model", tmp_path / "repository", 1)
    spec = embedded_spec(MODEL, tmp_path / "repository", tmp_path / "work")
    done = subprocess.run(
        [
            *spec.command,
            "--enable_batching",
            f"--batching_parameters_file={file}",
            "--max_num_load_retries=0",
        ],
        env={**os.environ, **spec.environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 255
    assert words in done.stdout
