"""Calls, from gRPC's core to the event loop and back, without a model."""

from __future__ import annotations

import asyncio
import threading
import time
import traceback
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
from google.protobuf.wrappers_pb2 import StringValue

from serving.tfserving.embedded.desk import Done
from serving.tfserving.embedded.rpc.call import Method
from serving.tfserving.embedded.rpc.health import HealthCheckRequest, health_methods
from serving.tfserving.embedded.rpc.server import GrpcServer
from serving.tfserving.embedded.status import StatusError

SECONDS = 20.0
OVER = "not writing due to shutdown"


class Echo:
    """Answers with what it gets; what it is told to do, it does first."""

    def __init__(self) -> None:
        self.begun, self.given_up = threading.Event(), threading.Event()
        self.counted: list[tuple[str, str]] = []
        self.most_at_once = self._now = 0

    def methods(self) -> dict[str, Method]:
        return {"Echo": Method(StringValue, self.begin, self.count)}

    def begin(self, request: Any, _size: int) -> Done | Coroutine[Any, Any, Done]:
        word, _, rest = request.value.partition(" ")
        if word == "refuse":
            raise StatusError(grpc.StatusCode.FAILED_PRECONDITION, rest)
        if word == "fail":
            raise ZeroDivisionError(rest)
        return self.later(request, float(rest)) if word == "wait" else Done(request)

    async def later(self, request: Any, seconds: float) -> Done:
        self.begun.set()
        self._now += 1
        self.most_at_once = max(self.most_at_once, self._now)
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            self.given_up.set()
            raise
        finally:
            self._now -= 1
        return Done(request)

    def count(self, request: Any, code: grpc.StatusCode, _seconds: float) -> None:
        self.counted.append((request.value, code.name))


class Running:
    """A server in an event loop on a thread of its own."""

    def __init__(self, echo: Echo) -> None:
        self.echo, self.port = echo, 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self.server = self._do(self._start())

    async def _start(self) -> GrpcServer:
        server = GrpcServer((("grpc.so_reuseport", 0),))
        server.add_service("test.Echo", self.echo.methods())
        server.add_service("grpc.health.v1.Health", health_methods())
        self.port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        return server

    def stop(self, grace_seconds: float) -> None:
        self._do(self.server.stop(grace_seconds))

    def close(self) -> None:
        self.stop(0)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(SECONDS)
        self._loop.close()

    def _do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(SECONDS)


@pytest.fixture
def running() -> Iterator[Running]:
    made = Running(Echo())
    try:
        yield made
    finally:
        made.close()


@contextmanager
def calling(running: Running, **more: Any) -> Iterator[Any]:
    with grpc.insecure_channel(f"127.0.0.1:{running.port}", **more) as channel:
        method = channel.unary_unary("/test.Echo/Echo", _write, StringValue.FromString)
        yield lambda text, seconds=SECONDS: method.future(StringValue(value=text), seconds)


def _write(message: Any) -> bytes:
    return bytes(message.SerializeToString())


def refusal(call: Any) -> tuple[str, str]:
    error = call.exception(SECONDS)
    return error.code().name, error.details()


@pytest.mark.parametrize("compression", list(grpc.Compression))
def test_answers(running: Running, compression: grpc.Compression) -> None:
    with calling(running, compression=compression) as call:
        for text in ("", "now", "wait 0", "x" * 3_000_000):
            assert call(text).result().value == text
    assert [code for _, code in running.echo.counted] == ["OK"] * 4


def test_many_at_a_time(running: Running) -> None:
    texts = [f"wait 0.{number % 3}" if number % 2 else str(number) for number in range(600)]
    with calling(running) as call:
        calls = [call(text) for text in texts]
        assert [each.result().value for each in calls] == texts
    assert running.echo.most_at_once > 100


def test_refusals(running: Running, caplog: pytest.LogCaptureFixture) -> None:
    with calling(running) as call:
        assert refusal(call("refuse größer als 1 %\n")) == (
            "FAILED_PRECONDITION",
            "größer als 1 %\n",
        )
        assert refusal(call("refuse " + "x" * 2000))[1] == "x" * 1024 + "...TRUNCATED"
        assert not caplog.records
        assert refusal(call("fail it")) == ("INTERNAL", "ZeroDivisionError: it")
        assert "ZeroDivisionError" in caplog.text
        assert call("next").result().value == "next"
    assert [code for _, code in running.echo.counted] == [
        "FAILED_PRECONDITION", "FAILED_PRECONDITION", "INTERNAL", "OK"
    ]  # fmt: skip


@pytest.mark.parametrize("message", [None, b"\xff"])
def test_a_message_that_cannot_be_read_is_not_kept(message: bytes | None) -> None:
    method = Echo().methods()["Echo"]
    depths = []
    for _ in range(3):
        with pytest.raises(StatusError) as refused:
            method.read(message)
        depths.append(len(list(traceback.walk_tb(refused.value.__traceback__))))
    assert depths == [depths[0]] * 3


def test_what_is_no_call(running: Running) -> None:
    """As gRPC's C++ server: no words of its own."""
    with grpc.insecure_channel(f"127.0.0.1:{running.port}") as channel:
        unknown = channel.unary_unary("/test.Echo/Other", None, None)
        assert refusal(unknown.future(b"", SECONDS)) == ("UNIMPLEMENTED", "")
        echo = channel.unary_unary("/test.Echo/Echo", None, None)
        assert refusal(echo.future(b"\xff", SECONDS)) == ("INTERNAL", "")
        silent = channel.stream_unary("/test.Echo/Echo", None, None)
        assert refusal(silent.future(iter(()), SECONDS)) == ("INTERNAL", "No payload")
    assert not running.echo.counted


@pytest.mark.parametrize("how", ["cancelled", "too late"])
def test_work_for_nobody_is_given_up(running: Running, how: str) -> None:
    with calling(running) as call:
        waiting = call("wait 60", 0.5 if how == "too late" else SECONDS)
        assert running.echo.begun.wait(SECONDS)
        if how == "cancelled":
            waiting.cancel()
        assert running.echo.given_up.wait(SECONDS)
        assert call("next").result().value == "next"
        if how == "too late":
            assert waiting.code() is grpc.StatusCode.DEADLINE_EXCEEDED


def test_stopping_lets_calls_finish(running: Running) -> None:
    with calling(running) as call:
        waiting = call("wait 0.5")
        assert running.echo.begun.wait(SECONDS)
        running.stop(SECONDS)
        assert waiting.result().value == "wait 0.5"
        assert refusal(call("late", 1))[0] in ("UNAVAILABLE", "DEADLINE_EXCEEDED")


def test_stopping_does_not_wait_for_ever(running: Running) -> None:
    with calling(running) as call:
        waiting = call("wait 60")
        assert running.echo.begun.wait(SECONDS)
        started = time.monotonic()
        running.stop(0.1)
        assert time.monotonic() - started < SECONDS
        assert waiting.exception(SECONDS) is not None


def test_stopping_ends_what_stays_open(running: Running) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{running.port}") as channel:
        watch = channel.unary_stream("/grpc.health.v1.Health/Watch", _write, bytes)
        stream = watch(HealthCheckRequest(), timeout=SECONDS)
        assert next(stream) == b"\x08\x01"
        running.stop(SECONDS)
        with pytest.raises(grpc.RpcError):
            next(stream)
        assert (stream.code(), stream.details()) == (grpc.StatusCode.CANCELLED, OVER)


def test_a_port_that_is_taken(running: Running) -> None:
    other = GrpcServer((("grpc.so_reuseport", 0),))
    with pytest.raises(RuntimeError):
        other.add_insecure_port(f"127.0.0.1:{running.port}")
