"""The load client over real sockets: every answer is judged, and messages of any size pass."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

import grpc
import hpack
import numpy as np
import orjson
import pytest
from google.protobuf.wrappers_pb2 import BytesValue

from benchmarks.server.dialects import DIALECTS
from benchmarks.server.load.__main__ import Answers
from benchmarks.server.load.job import Cell, Seen
from benchmarks.server.plan import Plan
from serving.load.closed_loop import ClosedLoop, Observed
from serving.load.http2 import header_block
from serving.load.ready import Ready, ready_bodies
from tests.benchmarks.server.samples import ECHO

PATH = "/bench.Rows/Predict"
REQUESTS = 60

Reply = Callable[[int, list[object]], bytes]
"""The answer to request number so-and-so, which asked for these rows; empty closes the connection."""


def cell(batch: int = 1, requests: int = REQUESTS) -> Cell:
    return Cell(clients=3, batch=batch, seconds=20, warmup_seconds=0, requests=requests)


async def load(ready: Ready, answers: Answers, plan: Cell) -> Seen:
    def run() -> Seen:
        clients = ClosedLoop(ready.requests, answers.is_right, plan.seconds, 0.0, plan.requests)
        with ready.open(plan.clients) as lines:
            return Seen.of(plan, clients.run(lines), cpu_seconds=0.0, client_cpu=0.0)

    seen = await asyncio.to_thread(run)
    await asyncio.sleep(0.05)  # the server closes its ends in the event loop
    return seen


def over_rest(reply: Reply) -> Seen:
    async def run() -> Seen:
        numbers = iter(range(10**9))

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with suppress(asyncio.IncompleteReadError):
                while True:
                    head = await reader.readuntil(b"\r\n\r\n")
                    length = int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0])
                    rows = orjson.loads(await reader.readexactly(length))["instances"]
                    answer = reply(next(numbers), [row["x"] for row in rows])
                    if not answer:
                        break
                    writer.write(answer)
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        dialect = DIALECTS["rows"]
        bodies = [dialect.write(ECHO, rows) for rows in ECHO.batches(1)]
        async with server:
            port = server.sockets[0].getsockname()[1]
            answers = Answers(dialect, ECHO, 1)
            ready = ready_bodies("REST", "127.0.0.1", port, "/predict", bodies)
            return await load(ready, answers, cell())

    return asyncio.run(run())


def http(predictions: object, status: str = "200 OK") -> bytes:
    body = orjson.dumps({"predictions": predictions})
    return f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body


def chunked(predictions: object) -> bytes:
    body = orjson.dumps({"predictions": predictions})
    parts = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:7], body[7:], b""))
    return b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + parts


@pytest.mark.parametrize("form", [http, chunked])
def test_right_answers_over_http(form: Callable[[object], bytes]) -> None:
    seen = over_rest(lambda _, rows: form(rows))
    assert (seen.wrong, seen.problem) == (0, "")
    assert seen.answers >= REQUESTS
    assert seen.p50_ms > 0
    assert seen.p99_ms is None, "sixty answers have no p99"


def test_a_p99_needs_459_answers() -> None:
    (enough,) = Plan(batches=(1,), clients=(1,)).cells()
    assert enough.fewest == 459
    for count, known in ((458, False), (459, True)):
        observed = Observed(np.linspace(1, 2, count), 1.0, count, 0, "")
        seen = Seen.of(enough, observed, cpu_seconds=0.0, client_cpu=0.0)
        assert (seen.p99_ms is not None) == known


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        pytest.param(http([[9.0, 9.0, 9.0]]), "was answered with", id="other numbers"),
        pytest.param(http([]), "was answered with", id="no rows"),
        pytest.param(http("x", "503 Busy"), "HTTP 503", id="refused"),
        pytest.param(b"garbage\r\n\r\n", "no HTTP", id="garbage"),
        pytest.param(b"", "connection lost", id="closed"),
    ],
)
def test_one_bad_answer_among_good_ones_is_seen(bad: bytes, said: str) -> None:
    seen = over_rest(lambda number, rows: bad if number == 30 else http(rows))
    assert seen.wrong == 1
    assert said in seen.problem


def test_the_right_answer_to_another_request_is_wrong() -> None:
    kept: list[list[object]] = []

    def one_behind(_: int, rows: list[object]) -> bytes:
        kept.append(rows)
        return http(kept[max(len(kept) - 4, 0)])

    assert over_rest(one_behind).wrong > 0


def over_grpc(reply: Callable[[int, bytes], bytes | grpc.StatusCode], batch: int) -> Seen:
    async def run() -> Seen:
        numbers = iter(range(10**9))

        async def predict(request: BytesValue, context: grpc.aio.ServicerContext) -> BytesValue:
            answer = reply(next(numbers), request.value)
            if isinstance(answer, grpc.StatusCode):
                await context.abort(answer, "no")
            return BytesValue(value=answer)

        handler = grpc.unary_unary_rpc_method_handler(
            predict, BytesValue.FromString, BytesValue.SerializeToString
        )
        server = grpc.aio.server(options=(("grpc.max_receive_message_length", -1),))
        handlers = grpc.method_handlers_generic_handler("bench.Rows", {"Predict": handler})
        server.add_generic_rpc_handlers((handlers,))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        dialect = DIALECTS["raw-grpc"]
        bodies = [dialect.write(ECHO, rows) for rows in ECHO.batches(batch)]
        answers = Answers(dialect, ECHO, batch)
        try:
            ready = ready_bodies("gRPC", "127.0.0.1", port, PATH, bodies)
            return await load(ready, answers, cell(batch))
        finally:
            await server.stop(None)

    return asyncio.run(run())


@pytest.mark.parametrize("batch", [1, 32, 100_000])
def test_right_answers_over_grpc_of_any_size(batch: int) -> None:
    # 100,000 rows are 1.2 MB: many frames, and more than any window that a server opens at first.
    seen = over_grpc(lambda _, request: request, batch)
    assert (seen.wrong, seen.problem) == (0, "")
    assert seen.answers >= REQUESTS


def test_a_grpc_error_is_wrong_and_the_connection_goes_on() -> None:
    seen = over_grpc(
        lambda number, request: grpc.StatusCode.INTERNAL if number == 30 else request, 1
    )
    assert seen.wrong == 1
    assert "gRPC error" in seen.problem


def test_other_numbers_over_grpc_are_wrong() -> None:
    def off_once(number: int, request: bytes) -> bytes:
        off = np.frombuffer(request, np.float32) + (number == 30)
        return off.astype(np.float32).tobytes()

    assert over_grpc(off_once, 1).wrong == 1


@pytest.mark.parametrize("length", [1, 126, 127, 128, 254, 255, 300, 20_000])
def test_headers_of_any_length_are_read_back(length: int) -> None:
    block = header_block("host", "/x", [("authorization", "t" * length)])
    assert ("authorization", "t" * length) in hpack.Decoder().decode(block)
