"""HTTP: several connections at once, each kept as long as it is good."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import cast

import httptools

from benchmarks.fuzz.inputs.input import Input
from benchmarks.fuzz.lanes.answer import Answer, Came

API, PAGE, HEAD, LOOSE, CUT = "api", "page", "head", "loose", "cut"
"""What a request is like: well-formed and for the API; well-formed, for any path; without a body in its
answer; perhaps not whole, so perhaps without an answer; not whole, and the connection is closed then."""
KINDS = (API, PAGE, HEAD, LOOSE, CUT)

CONNECTIONS = 16
SILENCE_SECONDS = 0.25
"""After so long without an answer, a loose request is taken for one that the server waits for more of."""

_CONTINUE = 100, 199


class HttpLane:
    """Sends whole requests to one address.

    Args:
        host: an IP address.
        port: its port.
        deadline_seconds: longest wait for an answer.
    """

    def __init__(self, host: str, port: int, deadline_seconds: float) -> None:
        self._host, self._port = host, port
        self._deadline_seconds = deadline_seconds
        self._runner = asyncio.Runner()

    def ask(self, inputs: Sequence[Input]) -> list[Answer]:
        return self._runner.run(self._ask(inputs))

    def close(self) -> None:
        self._runner.close()

    async def _ask(self, inputs: Sequence[Input]) -> list[Answer]:
        waiting = deque(enumerate(inputs))
        answers = [Answer(Came.REFUSED)] * len(inputs)
        await asyncio.gather(*(self._work(waiting, answers) for _ in range(CONNECTIONS)))
        return answers

    async def _work(self, waiting: deque[tuple[int, Input]], answers: list[Answer]) -> None:
        """One connection after another until nothing waits any more."""
        connection: _Connection | None = None
        while waiting:
            number, sent = waiting.popleft()
            if connection is None or not connection.is_good:
                connection = await self._connect()
            if connection is None:
                continue
            answers[number] = await self._exchange(connection, sent)
            if sent.kind in (HEAD, LOOSE, CUT):
                connection.close()
        if connection is not None:
            connection.close()

    async def _connect(self) -> _Connection | None:
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(self._deadline_seconds):
                loop = asyncio.get_running_loop()
                _, connection = await loop.create_connection(_Connection, self._host, self._port)
                return connection
        return None

    async def _exchange(self, connection: _Connection, sent: Input) -> Answer:
        wanted = connection.send(sent)
        if sent.kind == CUT:
            return Answer(Came.NOTHING)
        is_loose = sent.kind == LOOSE
        try:
            async with asyncio.timeout(SILENCE_SECONDS if is_loose else self._deadline_seconds):
                return await wanted
        except TimeoutError:
            connection.close()
            return Answer(Came.NOTHING)


class _Connection(asyncio.Protocol):
    """At most one request is under way. httptools calls the methods named ``on_...``."""

    def __init__(self) -> None:
        self.is_good = True
        self._has_body = True
        self._form = ""
        self._body: list[bytes] = []
        self._parser = httptools.HttpResponseParser(self)
        self._answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_good = False
        self._finish(Answer(Came.CLOSED))

    def send(self, sent: Input) -> asyncio.Future[Answer]:
        self._has_body, self._form = not sent.content.startswith(b"HEAD "), ""
        self._body.clear()
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(sent.content)
        return self._answer

    def close(self) -> None:
        self.is_good = False
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self.is_good = False
            self._finish(Answer(Came.ANSWER, f"no HTTP: {error}", data))

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"content-type":
            self._form = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self.is_good = self.is_good and self._parser.should_keep_alive()
        if not self._has_body:
            self.is_good = False  # the parser waits for what the headers promise
            self._finish(self._whole())

    def on_body(self, part: bytes) -> None:
        self._body.append(part)

    def on_message_complete(self) -> None:
        if not _CONTINUE[0] <= self._parser.get_status_code() <= _CONTINUE[1]:
            self._finish(self._whole())

    def _whole(self) -> Answer:
        status = str(self._parser.get_status_code())
        return Answer(Came.ANSWER, status, b"".join(self._body), self._form)

    def _finish(self, answer: Answer) -> None:
        if not self._answer.done():
            self._answer.set_result(answer)
