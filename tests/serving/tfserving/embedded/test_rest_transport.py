"""What HTTP itself allows: packed bodies, one connection for many requests, old and careful clients."""

from __future__ import annotations

import gzip
import json
import socket
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from serving.process import ProcessServer
from tests.serving.tfserving.embedded.rest_client import (
    ANSWER,
    MODEL,
    Json,
    ask,
    connect,
    error_of,
    raw,
    read_answer,
    receive,
)

pytestmark = pytest.mark.servers


def test_cors(http: httpx.Client) -> None:
    asked = http.options(MODEL, headers={"Origin": "https://example.org"})
    assert (asked.status_code, asked.content) == (200, b"")
    without = http.options(MODEL)
    assert (without.status_code, without.content) == (400, b"")
    refused = http.get("/v1/models/nobody")
    for answer in (asked, without, refused, http.get(MODEL)):
        assert answer.headers["access-control-allow-origin"] == "*"
        assert answer.headers["access-control-allow-methods"] == "POST, GET"
        assert answer.headers["access-control-allow-headers"] == "Content-Type"
    assert "access-control-allow-origin" not in http.get("/").headers


@pytest.mark.parametrize("chunked", [False, True])
def test_gzip_bodies(http: httpx.Client, chunked: bool) -> None:
    packed = gzip.compress(b'{"instances": [2.0]}')
    body = iter([packed[:7], packed[7:]]) if chunked else packed
    headers = {"Content-Encoding": "gzip", "Accept-Encoding": "gzip"}
    answer = http.post(f"{MODEL}:predict", content=body, headers=headers)
    assert answer.json() == {"predictions": [3.0]}
    assert "content-encoding" not in answer.headers


@pytest.mark.parametrize(
    "body",
    [b'{"instances": [2.0]}', gzip.compress(b'{"instances": [2.0]}')[:-4], b""],
    ids=["plain", "cut off", "empty"],
)
def test_what_is_no_gzip_counts_as_empty(http: httpx.Client, body: bytes) -> None:
    headers = {"Content-Encoding": "gzip"}
    answer = http.post(f"{MODEL}:predict", content=body, headers=headers)
    assert answer.status_code == 400
    assert answer.json() == {"error": "JSON Parse error: The document is empty"}


def test_a_bomb_is_not_unpacked(http: httpx.Client) -> None:
    packed = gzip.compress(b" " * (100 * 1024 * 1024 + 1), compresslevel=1)
    headers = {"Content-Encoding": "gzip"}
    answer = http.post(f"{MODEL}:predict", content=packed, headers=headers, timeout=60)
    assert answer.json() == {"error": "JSON Parse error: The document is empty"}


def test_head_has_no_body(http: httpx.Client) -> None:
    answer = http.head(MODEL)
    assert (answer.status_code, answer.content) == (400, b"")


def test_one_connection_for_many_requests(half_server: ProcessServer) -> None:
    with connect(half_server) as connection:
        for _ in range(3):
            connection.sendall(raw("HTTP/1.1", b'{"instances": [2.0]}'))
            status, headers, body = receive(connection)
            assert (status, body) == ("HTTP/1.1 200 OK", ANSWER)
            assert headers.get("connection") != "close"
            assert "server" not in headers


def test_pipelined_requests_are_answered_in_order(half_server: ProcessServer) -> None:
    """Quick ones, slow ones and ones of another kind of body, sent before any is answered."""
    large = list(range(20_000))
    chunked = (
        f"POST {MODEL}:predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        + b'8\r\n{"instan\r\n%x\r\nces": [6.0]}\r\n0\r\n\r\n' % len('ces": [6.0]}')
    )
    with connect(half_server) as connection:
        connection.sendall(
            raw("HTTP/1.1", b'{"instances": [2.0]}')
            + raw("HTTP/1.1", json.dumps({"instances": large}).encode())
            + raw("HTTP/1.1", b'{"instances": [4.0]}')
            + chunked
            + raw("HTTP/1.1", b'{"instances": ["four"]}')
            + raw("HTTP/1.1", b'{"instances": [8.0]}', "Connection: close\r\n")
        )
        with connection.makefile("rb") as stream:
            answers = [read_answer(stream) for _ in range(6)]
            assert stream.read() == b""
    bodies = [json.loads(body) for _, _, body in answers]
    assert bodies[0] == {"predictions": [3.0]}
    assert bodies[1] == {"predictions": [number / 2 + 2 for number in large]}
    assert bodies[2:4] == [{"predictions": [4.0]}, {"predictions": [5.0]}]
    assert "error" in bodies[4]
    assert bodies[5] == {"predictions": [6.0]}
    assert [status.split()[1] for status, _, _ in answers] == ["200"] * 4 + ["400", "200"]


def test_a_body_that_comes_byte_by_byte(half_server: ProcessServer) -> None:
    with connect(half_server) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in raw("HTTP/1.1", b'{"instances": [2.0]}'):
            connection.sendall(bytes([byte]))
        assert receive(connection)[2] == ANSWER


def test_a_client_that_goes_before_its_answer_holds_up_nobody(
    half_server: ProcessServer, http: httpx.Client
) -> None:
    body = json.dumps({"instances": list(range(20_000))}).encode()
    for _ in range(20):
        with connect(half_server) as connection:
            connection.sendall(raw("HTTP/1.1", body) * 2)
    assert ask(http, "predict", {"instances": [2.0]}) == {"predictions": [3.0]}


def test_http_1_0(half_server: ProcessServer) -> None:
    with connect(half_server) as connection:
        connection.sendall(raw("HTTP/1.0", b'{"instances": [2.0]}'))
        assert receive(connection)[2] == ANSWER
        assert connection.recv(1) == b""


def test_a_client_that_waits_to_be_asked_for_the_body(half_server: ProcessServer) -> None:
    with connect(half_server) as connection:
        whole = raw("HTTP/1.1", b'{"instances": [2.0]}', "Expect: 100-continue\r\n")
        head, _, body = whole.partition(b"\r\n\r\n")
        connection.sendall(head + b"\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 100 Continue\r\n")
        connection.sendall(body)
        assert receive(connection)[2] == ANSWER


def test_many_connections_with_good_and_bad_requests(half_server: ProcessServer) -> None:
    def talk(number: int) -> None:
        with httpx.Client(base_url=half_server.spec.url("rest"), trust_env=False) as client:
            for round_number in range(10):
                if (number + round_number) % 3 == 0:
                    error_of(client, "predict", b"[" * 3000)
                value = float(number * 100 + round_number)
                body: Json = {"instances": [value]}
                assert ask(client, "predict", body) == {"predictions": [value / 2 + 2]}

    with ThreadPoolExecutor(8) as threads:
        for done in [threads.submit(talk, number) for number in range(8)]:
            done.result(60)
