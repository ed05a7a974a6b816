"""Connections that are odd: half closed, half asked, silent, slow, or idle for long."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from serving.process import ProcessServer
from serving.server import ServerSpec
from serving.tfserving.repository import publish
from tests.serving.tfserving.embedded.test_rest_contract import ANSWER, connect, raw, read_answer

pytestmark = pytest.mark.servers

BODY = b'{"instances": [2.0]}'
LARGE = json.dumps({"instances": list(range(20_000))}).encode()


@pytest.fixture(scope="module")
def batching_server(
    examples_model: Path,
    tmp_path_factory: pytest.TempPathFactory,
    embedded_spec: Callable[..., ServerSpec],
) -> Iterator[ProcessServer]:
    """Answers every request after others have been read."""
    folder = tmp_path_factory.mktemp("batching")
    publish(examples_model, folder / "repository", 1)
    parameters = folder / "parameters"
    parameters.write_text("max_batch_size { value: 20000 } batch_timeout_micros { value: 100000 }")
    spec = embedded_spec("half", folder / "repository", folder / "work")
    extra = ("--enable_batching", f"--batching_parameters_file={parameters}")
    yield from running(replace(spec, command=(*spec.command, *extra)))


def running(spec: ServerSpec) -> Iterator[ProcessServer]:
    server = ProcessServer(spec)
    server.start()
    try:
        server.wait_ready(60)
        yield server
    finally:
        server.stop()


@pytest.fixture(params=["half_server", "batching_server"])
def either_server(request: pytest.FixtureRequest) -> ProcessServer:
    """One that answers small requests at once, and one that never does."""
    server: ProcessServer = request.getfixturevalue(request.param)
    return server


class TestHalfClosed:
    """A client that says that it will send no more, and reads."""

    @pytest.mark.parametrize("header", ["", "Connection: close\r\n"])
    @pytest.mark.parametrize("body", [BODY, LARGE], ids=["small", "large"])
    def test_it_gets_its_answer_and_the_end(
        self, either_server: ProcessServer, body: bytes, header: str
    ) -> None:
        with connect(either_server) as connection, connection.makefile("rb") as stream:
            connection.sendall(raw("HTTP/1.1", body, header))
            connection.shutdown(socket.SHUT_WR)
            status, _, answer = read_answer(stream)
            assert status == "HTTP/1.1 200 OK"
            assert len(json.loads(answer)["predictions"]) == len(json.loads(body)["instances"])
            assert stream.read() == b""

    @pytest.mark.parametrize("first", [BODY, LARGE], ids=["small", "large"])
    def test_all_that_it_has_asked_is_answered(
        self, either_server: ProcessServer, first: bytes
    ) -> None:
        with connect(either_server) as connection, connection.makefile("rb") as stream:
            connection.sendall(raw("HTTP/1.1", first) + raw("HTTP/1.1", BODY) * 2)
            connection.shutdown(socket.SHUT_WR)
            answers = [read_answer(stream) for _ in range(3)]
            assert [status for status, _, _ in answers] == ["HTTP/1.1 200 OK"] * 3
            assert [answer for _, _, answer in answers[1:]] == [ANSWER] * 2
            assert [headers.get("connection") for _, headers, _ in answers[:2]] == [None] * 2
            assert stream.read() == b""

    @pytest.mark.parametrize("cut", [20, -5], ids=["head", "body"])
    def test_half_a_request_behind_a_whole_one_is_forgotten(
        self, either_server: ProcessServer, cut: int
    ) -> None:
        with connect(either_server) as connection, connection.makefile("rb") as stream:
            connection.sendall(raw("HTTP/1.1", BODY) + raw("HTTP/1.1", BODY)[:cut])
            connection.shutdown(socket.SHUT_WR)
            assert read_answer(stream)[2] == ANSWER
            assert stream.read() == b""

    @pytest.mark.parametrize("cut", [0, 20, -5], ids=["nothing", "head", "body"])
    def test_less_than_a_request_gets_none(self, either_server: ProcessServer, cut: int) -> None:
        with connect(either_server) as connection:
            connection.sendall(raw("HTTP/1.1", BODY)[:cut])
            connection.shutdown(socket.SHUT_WR)
            assert connection.recv(1) == b""
