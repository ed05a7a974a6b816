"""Connections that are odd: half closed, half asked, silent, slow, or idle for long."""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import psutil
import pytest

from serving.process import ProcessServer
from serving.server import ServerSpec
from serving.tfserving.repository import publish
from tests.serving.tfserving.embedded.rest_client import (
    ANSWER,
    connect,
    raw,
    read_answer,
    read_head,
)

pytestmark = pytest.mark.servers

BODY = b'{"instances": [2.0]}'
SILENCE_SECONDS = 2.0
SLOW_SECONDS = 3.0
MOST_BYTES = 8 << 20
METRICS = "/metrics"
CHANGED = """
from serving.tfserving.embedded.__main__ import entry
from serving.tfserving.embedded.rest import body, connection
{}
entry()
"""
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


@pytest.fixture(scope="module")
def changed(
    examples_model: Path,
    tmp_path_factory: pytest.TempPathFactory,
    embedded_spec: Callable[..., ServerSpec],
) -> Callable[..., Iterator[ProcessServer]]:
    """A server with another bound than ours."""

    def run(change: str, batch_seconds: float | None = None) -> Iterator[ProcessServer]:
        folder = tmp_path_factory.mktemp("changed")
        publish(examples_model, folder / "repository", 1)
        spec = embedded_spec("half", folder / "repository", folder / "work")
        command = [sys.executable, "-c", CHANGED.format(change), *spec.command[3:]]
        if batch_seconds is not None:
            parameters = folder / "parameters"
            parameters.write_text(f"batch_timeout_micros {{ value: {batch_seconds * 1e6:.0f} }}")
            command += ["--enable_batching", f"--batching_parameters_file={parameters}"]
        return running(replace(spec, command=tuple(command)))

    return run


@pytest.fixture(scope="module")
def impatient_server(changed: Callable[..., Iterator[ProcessServer]]) -> Iterator[ProcessServer]:
    yield from changed(f"connection.SILENCE_SECONDS = {SILENCE_SECONDS}")


@pytest.fixture(scope="module")
def brisk_server(changed: Callable[..., Iterator[ProcessServer]]) -> Iterator[ProcessServer]:
    """Gives up what has been slow for a few seconds."""
    seconds = f"{SLOW_SECONDS / 2}, {SLOW_SECONDS}"
    yield from changed(f"connection.SILENCE_SECONDS, connection.SLOW_SECONDS = {seconds}")


@pytest.fixture(scope="module")
def hasty_server(changed: Callable[..., Iterator[ProcessServer]]) -> Iterator[ProcessServer]:
    """Closes what is idle for a second."""
    yield from changed("from serving.tfserving.embedded import server; server.IDLE_SECONDS = 1")


@pytest.fixture(scope="module")
def slow_server(changed: Callable[..., Iterator[ProcessServer]]) -> Iterator[ProcessServer]:
    """Takes longer for an answer than it waits for half a request."""
    change = f"connection.SILENCE_SECONDS = {1.5 * SILENCE_SECONDS}"
    yield from changed(change, 1.5 * 1.5 * SILENCE_SECONDS)


@pytest.fixture(scope="module")
def small_server(changed: Callable[..., Iterator[ProcessServer]]) -> Iterator[ProcessServer]:
    yield from changed(f"body.MAX_BYTES = {MOST_BYTES}")


@pytest.fixture(scope="module")
def counting_server(
    examples_model: Path,
    tmp_path_factory: pytest.TempPathFactory,
    embedded_spec: Callable[..., ServerSpec],
) -> Iterator[ProcessServer]:
    """Shows what it counts."""
    folder = tmp_path_factory.mktemp("counting")
    publish(examples_model, folder / "repository", 1)
    monitoring = folder / "monitoring"
    monitoring.write_text(f'prometheus_config {{ enable: true, path: "{METRICS}" }}')
    spec = embedded_spec("half", folder / "repository", folder / "work")
    command = (*spec.command, f"--monitoring_config_file={monitoring}")
    yield from running(replace(spec, command=command))


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


def answers(server: ProcessServer) -> bool:
    url = f"{server.spec.url('rest')}/v1/models/half:predict"
    return httpx.post(url, content=BODY, trust_env=False).json() == {"predictions": [3.0]}


def requests_of(server: ProcessServer) -> int:
    """All that it has counted, however they ended."""
    page = httpx.get(server.spec.url("rest") + METRICS, trust_env=False).text
    counts = re.findall(r"^:tensorflow:serving:request_count{.*} (\d+)$", page, re.MULTILINE)
    return sum(map(int, counts))


def ends(connection: socket.socket) -> bool:
    """Whether the server closes it, sooner or later; bytes that it had not read reset it."""
    with contextlib.suppress(ConnectionResetError):
        while connection.recv(65536):
            pass
    return True


def head(length: int, header: str = "") -> bytes:
    """Of a request that announces a body."""
    return (
        f"POST /v1/models/half:predict HTTP/1.1\r\nHost: x\r\n{header}"
        f"Content-Length: {length}\r\n\r\n"
    ).encode()


CHUNKED = b"POST /v1/models/half:predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


class TestUpgrades:
    """What Java's HttpClient and ``curl --http2`` say first over plain HTTP; libevent ignores it."""

    @pytest.mark.parametrize("name", ["Upgrade", "upgrade", "UPGRADE"])
    @pytest.mark.parametrize("parts", [1, 2, 3])
    @pytest.mark.parametrize("start", [head(len(BODY)), CHUNKED], ids=["length", "chunked"])
    def test_they_do_not_happen(
        self, either_server: ProcessServer, start: bytes, parts: int, name: str
    ) -> None:
        header = (
            f"Connection: Upgrade, HTTP2-Settings\r\n{name}: h2c\r\nHTTP2-Settings: AAEAAEAA\r\n"
        )
        line, end, rest = start.partition(b"\r\n")
        whole_head = line + end + header.encode() + rest
        body = BODY if start is not CHUNKED else b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)
        pieces = [whole_head + body, whole_head, body[:9], body[9:]]
        pieces = pieces[:1] if parts == 1 else [whole_head, body] if parts == 2 else pieces[1:]
        with connect(either_server) as connection, connection.makefile("rb") as stream:
            for _ in range(2):
                for piece in pieces:
                    connection.sendall(piece)
                    time.sleep(0.02)
                assert read_answer(stream)[2] == ANSWER


TWO = raw("HTTP/1.1", BODY) * 2


class TestRefusals:
    """What cannot be read, behind what can."""

    @pytest.mark.parametrize(
        "pieces",
        [
            [TWO + b"12345"],
            [TWO + b"garbage\r\n\r\n"],
            [TWO, b"garbage\r\n\r\n"],
            [TWO, b"GET /v1/models/half HTTP/1.1\r\nname: " + b"v" * 70_000 + b"\r\n\r\n"],
            [TWO, b"GET /v1/models/half HTTP/1.1\r\nname: " + b"v" * 90_000],
            [TWO + CHUNKED + b"5\r\nabcdexx\r\n"],
            [TWO, CHUNKED + b"5\r\nabc", b"dexx\r\n"],
            [TWO + b"garbage\r\n\r\n", b"more of it"],
        ],
        ids=["length", "garbage", "later", "head", "half a head", "chunk", "chunks", "twice"],
    )
    @pytest.mark.parametrize("end", [False, True], ids=["open", "half closed"])
    def test_they_come_after_the_answers(
        self, either_server: ProcessServer, pieces: list[bytes], end: bool
    ) -> None:
        with connect(either_server) as connection, connection.makefile("rb") as stream:
            for piece in pieces:
                with contextlib.suppress(ConnectionError):
                    connection.sendall(piece)
                time.sleep(0.02)
            if end:
                with contextlib.suppress(OSError):  # it is reset already
                    connection.shutdown(socket.SHUT_WR)
            assert [read_answer(stream)[2] for _ in range(2)] == [ANSWER] * 2
            status, headers, _ = read_answer(stream)
            assert status == "HTTP/1.1 400 Bad Request"
            assert headers["connection"] == "close"
            assert ends(connection)
        assert answers(either_server)

    def test_none_comes_after_the_end_that_was_asked_for(
        self, either_server: ProcessServer
    ) -> None:
        with connect(either_server) as connection, connection.makefile("rb") as stream:
            connection.sendall(raw("HTTP/1.1", BODY, "Connection: close\r\n") + b"garbage\r\n\r\n")
            assert read_answer(stream)[2] == ANSWER
            assert stream.read() == b""


class TestUnended:
    """Requests that never end, or end in what cannot be read, are not worked on."""

    @pytest.mark.parametrize(
        ("sent", "status"),
        [
            (CHUNKED + b"%x\r\n%s\r\n" % (len(BODY), BODY), None),
            (CHUNKED + b"%x\r\n%sxx\r\n" % (len(BODY), BODY), "400"),
            (head(20 << 20) + BODY, None),
            (TWO + head(20 << 20) + BODY, "200"),
            (TWO + CHUNKED + b"%x\r\n%sxx\r\n" % (len(BODY), BODY), "200"),
        ],
        ids=["chunked", "bad chunk", "large", "behind others", "bad behind others"],
    )
    @pytest.mark.parametrize("abrupt", [False, True], ids=["half closed", "reset"])
    def test_they_are_not_counted(
        self, counting_server: ProcessServer, sent: bytes, status: str | None, abrupt: bool
    ) -> None:
        before = requests_of(counting_server)
        with connect(counting_server) as connection, connection.makefile("rb") as stream:
            connection.sendall(sent)
            if status is not None:
                assert read_answer(stream)[0].split()[1] == status
            if abrupt:
                no_wait = struct.pack("ii", 1, 0)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, no_wait)
            else:
                connection.shutdown(socket.SHUT_WR)
                assert ends(connection)
        assert answers(counting_server)
        assert requests_of(counting_server) == before + sent.count(TWO) * 2 + 1


class TestHeads:
    """Request lines and headers beyond all measure."""

    @pytest.mark.parametrize(
        ("start", "more"),
        [
            (b"GET /v1/models/half HTTP/1.1\r\n", b"name: value\r\n" * 1000),
            (b"GET /v1/models/half HTTP/1.1\r\nname: ", b"v" * 10_000),
            (b"GET /v1/models/half HTTP/1.1\r\n", b"n" * 10_000),
            (b"GET /", b"p" * 10_000),
            (CHUNKED + b"0\r\n", b"name: value\r\n" * 1000),
            (CHUNKED + b"0\r\nname: ", b"v" * 10_000),
        ],
        ids=["headers", "value", "name", "path", "trailers", "trailer"],
    )
    def test_one_without_end_is_refused(
        self, half_server: ProcessServer, start: bytes, more: bytes
    ) -> None:
        process = psutil.Process(half_server.pid)
        before = process.memory_info().rss
        with connect(half_server) as connection:
            sent = 0
            with contextlib.suppress(ConnectionError):
                connection.sendall(start)
                while sent < 32 << 20:
                    connection.sendall(more)
                    sent += len(more)
            assert sent < 32 << 20
        assert process.memory_info().rss - before < 16 << 20
        assert answers(half_server)

    def test_the_bound_is_64_kib(self, half_server: ProcessServer) -> None:
        for size, status in ((60_000, "200"), (70_000, "400")):
            with connect(half_server) as connection, connection.makefile("rb") as stream:
                connection.sendall(head(len(BODY), f"name: {'v' * size}\r\n") + BODY)
                assert read_answer(stream)[0].split()[1] == status

    @pytest.mark.parametrize("cut", [200, 40_000, 69_000])
    def test_it_holds_where_the_head_comes_in_parts(
        self, half_server: ProcessServer, cut: int
    ) -> None:
        whole = raw("HTTP/1.1", BODY) + head(len(BODY), f"name: {'v' * 70_000}\r\n") + BODY
        with connect(half_server) as connection, connection.makefile("rb") as stream:
            connection.sendall(whole[:cut])
            assert read_answer(stream)[2] == ANSWER
            connection.sendall(whole[cut:])
            assert read_answer(stream)[0].split()[1] == "400"

    def test_every_request_of_a_connection_has_its_own(self, half_server: ProcessServer) -> None:
        whole = head(len(BODY), f"name: {'v' * 30_000}\r\n") + BODY
        with connect(half_server) as connection, connection.makefile("rb") as stream:
            for count in (1, 1, 4):
                connection.sendall(whole * count)
                assert [read_answer(stream)[2] for _ in range(count)] == [ANSWER] * count


class TestHalfRequests:
    """What has begun and does not end."""

    @pytest.mark.parametrize(
        "half",
        [head(100)[:30], head(100), head(100) + BODY, CHUNKED, CHUNKED + b"5\r\nabc"],
        ids=["head", "no body", "body", "no chunk", "chunk"],
    )
    def test_silence_ends_it(self, impatient_server: ProcessServer, half: bytes) -> None:
        with connect(impatient_server) as connection, connection.makefile("rb") as stream:
            connection.sendall(raw("HTTP/1.1", BODY))
            assert read_answer(stream)[2] == ANSWER
            connection.sendall(half)
            assert stream.read() == b""
        assert answers(impatient_server)

    @pytest.mark.parametrize("start", [head(len(BODY)), CHUNKED], ids=["length", "chunked"])
    def test_slowness_does_not(self, impatient_server: ProcessServer, start: bytes) -> None:
        chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)
        rest = chunked if start is CHUNKED else BODY
        pieces = [start[:20], start[20:], rest[:7], rest[7:12], rest[12:]]
        with connect(impatient_server) as connection, connection.makefile("rb") as stream:
            for piece in pieces:
                time.sleep(0.4 * SILENCE_SECONDS)
                connection.sendall(piece)
            assert read_answer(stream)[2] == ANSWER

    def test_the_servers_own_slowness_is_none_of_the_clients(
        self, slow_server: ProcessServer
    ) -> None:
        """Who waits for an answer before going on has the whole time for that."""
        with connect(slow_server) as connection, connection.makefile("rb") as stream:
            connection.sendall(raw("HTTP/1.1", BODY) + raw("HTTP/1.1", BODY)[:-5])
            assert read_answer(stream)[2] == ANSWER
            time.sleep(0.9 * SILENCE_SECONDS)  # of 1.5
            connection.sendall(BODY[-5:])
            assert read_answer(stream)[2] == ANSWER

    @pytest.mark.parametrize(
        ("start", "drop"),
        [(head(100)[:20], b"a"), (head(10_000), b" "), (CHUNKED, b"1\r\n \r\n")],
        ids=["head", "body", "chunks"],
    )
    def test_a_drop_at_a_time_ends_it(
        self, brisk_server: ProcessServer, start: bytes, drop: bytes
    ) -> None:
        """Slowloris: it would hold the connection for ever."""
        with connect(brisk_server) as connection, connection.makefile("rb") as stream:
            connection.sendall(raw("HTTP/1.1", BODY))
            assert read_answer(stream)[2] == ANSWER
            began = time.monotonic()
            connection.sendall(start)
            while not select.select([connection], [], [], 0.2)[0]:
                assert time.monotonic() < began + 3 * SLOW_SECONDS
                connection.sendall(drop)
            with contextlib.suppress(ConnectionResetError):
                assert stream.read() == b""
            assert time.monotonic() > began + 0.9 * SLOW_SECONDS
        assert answers(brisk_server)

    def test_a_stream_of_them_does_not(self, brisk_server: ProcessServer) -> None:
        """However long it takes, and from the second request on, too."""
        pieces = [b" " * 400] * 20
        request = head(len(BODY) + sum(map(len, pieces)))
        with connect(brisk_server) as connection, connection.makefile("rb") as stream:
            for _ in range(2):
                connection.sendall(request)
                for piece in pieces:
                    time.sleep(0.25)
                    connection.sendall(piece)
                connection.sendall(BODY)
                assert read_answer(stream)[2] == ANSWER

    def test_between_requests_there_may_be_silence(self, impatient_server: ProcessServer) -> None:
        with connect(impatient_server) as connection, connection.makefile("rb") as stream:
            for piece in (raw("HTTP/1.1", BODY)[:30], raw("HTTP/1.1", BODY)[30:]):
                connection.sendall(piece)
                time.sleep(0.1)
            assert read_answer(stream)[2] == ANSWER
            time.sleep(2 * SILENCE_SECONDS)
            connection.sendall(raw("HTTP/1.1", BODY))
            assert read_answer(stream)[2] == ANSWER

    @pytest.mark.parametrize("start", [head(1 << 20), CHUNKED], ids=["length", "chunked"])
    def test_all_together_have_a_bound(self, small_server: ProcessServer, start: bytes) -> None:
        """Beyond it those that do not come in one piece are refused; others are answered."""
        process = psutil.Process(small_server.pid)
        before = process.memory_info().rss
        if start is CHUNKED:
            start += b"%x\r\n" % (1 << 20)
        with contextlib.ExitStack() as stack:
            for _ in range(100):
                connection = stack.enter_context(connect(small_server))
                with contextlib.suppress(ConnectionError):
                    connection.sendall(start + b" " * 500_000)
            last = stack.enter_context(connect(small_server))
            last.sendall(start)
            for _ in range(15):  # one after the other, so that nothing unread resets the answer
                last.sendall(b" " * 50_000)
                if select.select([last], [], [], 0.2)[0]:
                    break
            stream = stack.enter_context(last.makefile("rb"))
            status, headers, body = read_answer(stream)
            assert status == "HTTP/1.1 429 Too Many Requests"
            assert headers["connection"] == "close"
            assert json.loads(body) == {"error": "Too much of unfinished requests is held already"}
            assert stream.read() == b""
            assert answers(small_server)
            assert process.memory_info().rss - before < 6 * MOST_BYTES
        with connect(small_server) as connection, connection.makefile("rb") as stream:
            connection.sendall(head(MOST_BYTES // 2))  # all of it is free again
            for _ in range(8):
                connection.sendall(b" " * (MOST_BYTES // 16))
            assert read_answer(stream)[0].startswith("HTTP/1.1 400")

    def test_many_hold_up_nobody(self, half_server: ProcessServer) -> None:
        halves = [head(100)[:30], head(100), head(100) + BODY, CHUNKED, CHUNKED + b"5\r\nabc"]
        with contextlib.ExitStack() as stack:
            for half in halves * 100:
                stack.enter_context(connect(half_server)).sendall(half)
            for _ in range(10):
                assert answers(half_server)


class TestUntakenAnswers:
    """Larger than what the kernel holds of them."""

    ROWS = 2_500_000
    BODY = b'{"instances": [2.0' + b", 2.0" * (ROWS - 1) + b"]}"

    def test_the_connection_ends(self, brisk_server: ProcessServer) -> None:
        process = psutil.Process(brisk_server.pid)
        with connect(brisk_server) as connection:
            port = connection.getsockname()[1]
            connection.sendall(raw("HTTP/1.1", self.BODY))
            assert select.select([connection], [], [], 30)[0]
            time.sleep(0.5 * SLOW_SECONDS)
            assert port in clients_of(process)
            deadline = time.monotonic() + 5 * SLOW_SECONDS
            while port in clients_of(process):
                assert time.monotonic() < deadline
                time.sleep(0.1)
        assert answers(brisk_server)

    def test_it_does_not_while_they_are_taken(self, brisk_server: ProcessServer) -> None:
        with connect(brisk_server) as connection, connection.makefile("rb") as stream:
            connection.sendall(raw("HTTP/1.1", self.BODY))
            length = int(read_head(stream)[1]["content-length"])
            body = b""
            for _ in range(5):
                time.sleep(0.4 * SLOW_SECONDS)
                body += stream.read(2_000_000)
            body += stream.read(length - len(body))
            assert json.loads(body) == {"predictions": [3.0] * self.ROWS}


def clients_of(process: psutil.Process) -> set[int]:
    """The ports from which they are connected."""
    return {each.raddr.port for each in process.net_connections() if each.raddr}


@pytest.mark.parametrize("asked", [False, True], ids=["fresh", "used"])
@pytest.mark.parametrize("sent", [b"", b"\r\n", b"\r\n\r\n"], ids=["nothing", "line", "lines"])
def test_an_idle_connection_ends_whatever_lines_it_sends(
    hasty_server: ProcessServer, sent: bytes, asked: bool
) -> None:
    with connect(hasty_server) as connection, connection.makefile("rb") as stream:
        if asked:
            connection.sendall(raw("HTTP/1.1", BODY))
            assert read_answer(stream)[2] == ANSWER
        connection.sendall(sent)
        assert stream.read() == b""


def test_an_idle_connection_stays(half_server: ProcessServer) -> None:
    """Longer than uvicorn's own 5 s, with a request before it and without."""
    with (
        connect(half_server) as used,
        used.makefile("rb") as stream,
        connect(half_server) as fresh,
        fresh.makefile("rb") as fresh_stream,
    ):
        used.sendall(raw("HTTP/1.1", BODY))
        assert read_answer(stream)[2] == ANSWER
        time.sleep(6)
        for connection, answer in ((used, stream), (fresh, fresh_stream)):
            connection.sendall(raw("HTTP/1.1", BODY))
            assert read_answer(answer)[2] == ANSWER


def test_connections_that_are_open_do_not_hold_up_the_end(
    examples_model: Path, tmp_path: Path, embedded_spec: Callable[..., ServerSpec]
) -> None:
    publish(examples_model, tmp_path / "repository", 1)
    for server in running(embedded_spec("half", tmp_path / "repository", tmp_path / "work")):
        process = psutil.Process(server.pid)
        with connect(server) as idle, connect(server) as fresh, connect(server) as half:
            idle.sendall(raw("HTTP/1.1", BODY))
            assert idle.recv(100)
            half.sendall(head(100) + BODY)
            os.kill(server.pid, signal.SIGTERM)
            assert process.wait(timeout=20) == 0
            assert all(ends(each) for each in (idle, fresh, half))
