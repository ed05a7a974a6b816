"""HTTP/1.1 by uvicorn, with a short way for the requests that a server of models gets all day.

uvicorn turns each request into a task and an ASGI conversation, checks every header that is answered,
and writes head and body apart. For a request of known length that is answered at once that costs more
than a small model does. Here such a request is collected, answered where its last byte was read, and
written in one piece. Everything else (chunked bodies, ``Expect``, HTTP/1.0, ``Connection: close``, a
client that does not read) goes uvicorn's way, and so do connections, time limits and stopping.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from serving.tfserving.embedded.rest.body import AROUND_PART
from serving.tfserving.embedded.rest.connection import Connection
from serving.tfserving.embedded.rest.front import Reply, RestFront, is_api, refuse_body
from serving.tfserving.embedded.status import StatusError

MOST_BYTES = 16 * 1024 * 1024
"""A longer body goes uvicorn's way, which stops reading from the connection meanwhile."""

_SHORT_METHODS = (b"POST", b"GET")


class _Pending:
    """The request that is being answered: as much as uvicorn wants to know of it."""

    __slots__ = ("disconnected", "keep_alive", "message_event", "response_complete")

    def __init__(self) -> None:
        self.disconnected = False
        self.keep_alive = True
        self.response_complete = False
        self.message_event = _NO_EVENT


class _NoEvent:
    """Set when a client has gone; nobody waits for it here."""

    def set(self) -> None:
        pass


_NO_EVENT = _NoEvent()


class RestProtocol(Connection):
    """One connection; its application is a ``RestFront``. See ``make_protocol``."""

    outbox: Outbox
    _parts: list[bytes] | None = None
    """Of the body of a request on the short way; None on uvicorn's."""
    _part_bytes = 0
    """Of all of them."""
    _counted_bytes = 0
    """Of these, what the front's intake knows of: what is there at once is not counted."""

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._release()

    def on_headers_complete(self) -> None:
        self._parts = [] if self._is_short() else None
        self._part_bytes = 0
        if self._parts is None:
            super().on_headers_complete()
        else:
            self.note_head()

    def on_body(self, body: bytes) -> None:
        if self._parts is None:
            super().on_body(body)
        else:
            self.note_body()
            self._parts.append(body)
            self._part_bytes += len(body) + AROUND_PART

    def on_message_complete(self) -> None:
        if self._parts is None:
            super().on_message_complete()
            return
        self.note_end()
        body, self._parts = b"".join(self._parts), None
        self._release()
        front = cast(RestFront, self.app)
        method = self.parser.get_method().decode("ascii")
        pending = _Pending()
        self.cycle = cast(Any, pending)
        reply = front.begin(method, self.url.decode("latin-1"), self.headers, body)
        if isinstance(reply, Reply):
            self._reply(pending, reply)
        else:
            task = self.loop.create_task(self._reply_later(pending, reply))
            task.add_done_callback(self.tasks.discard)
            self.tasks.add(task)

    def wait_for_more(self) -> None:
        super().wait_for_more()
        if self._parts and not self.transport.is_closing():
            self._hold()

    def _is_short(self) -> bool:
        parser = self.parser
        if (
            (self.cycle is not None and not self.cycle.response_complete)
            or self.flow.write_paused
            or parser.get_method() not in _SHORT_METHODS
            or parser.get_http_version() != "1.1"
            or not parser.should_keep_alive()
            or parser.should_upgrade()
            or not is_api(self.url[:4].decode("latin-1"))
            or b"#" in self.url
        ):
            return False
        length = 0
        for name, value in self.headers:
            if name == b"content-length":
                length = int(value)  # the parser has seen that these are digits
            elif name in (b"transfer-encoding", b"expect"):
                return False
        return length <= MOST_BYTES

    def _hold(self) -> None:
        """Keep the parts until the rest of the body is here, if there is room for them."""
        try:
            cast(RestFront, self.app).intake.add(self._part_bytes - self._counted_bytes)
        except StatusError as error:
            self._parts = None
            self._release()
            self.transport.write(self._write(refuse_body(error)))
            self.transport.close()
        else:
            self._counted_bytes = self._part_bytes

    def _release(self) -> None:
        if self._counted_bytes:
            cast(RestFront, self.app).intake.remove(self._counted_bytes)
            self._counted_bytes = 0

    async def _reply_later(self, pending: _Pending, reply: Coroutine[Any, Any, Reply]) -> None:
        try:
            found = await reply
        except asyncio.CancelledError:  # the server stops, and nobody waits any longer
            self.transport.close()
            raise
        self._reply(pending, found)

    def _reply(self, pending: _Pending, reply: Reply) -> None:
        self.outbox.add(self, pending, self._write(reply, pending.keep_alive))

    def _write(self, reply: Reply, keep_alive: bool = True) -> bytes:
        head = [STATUS_LINE[reply.status]]
        for name, value in (*self.server_state.default_headers, *reply.headers):
            head += (name, b": ", value, b"\r\n")
        if not keep_alive:
            head.append(b"connection: close\r\n")
        head.append(b"content-length: %d\r\n\r\n" % len(reply.body))
        head.append(reply.body)
        return b"".join(head)

    def send(self, pending: _Pending, answer: bytes) -> None:
        """Write an answer, and go on with what the client has sent meanwhile."""
        pending.response_complete = True
        if pending.disconnected or self.transport.is_closing():
            return
        self.transport.write(answer)
        if not pending.keep_alive:
            self.transport.close()
        self.on_response_complete()


class Outbox:
    """The answers that are written when all connections that had something to say have been read.

    A write on the loopback interface wakes the client at once, and often moves it to the processor
    that the server is on. Written one after the other, the answers of one turn of the loop wake a
    client with many connections once.
    """

    def __init__(self) -> None:
        self._waiting: list[tuple[RestProtocol, _Pending, bytes]] = []

    def add(self, connection: RestProtocol, pending: _Pending, answer: bytes) -> None:
        if not self._waiting:
            connection.loop.call_soon(self._send)
        self._waiting.append((connection, pending, answer))

    def _send(self) -> None:
        waiting, self._waiting = self._waiting, []
        for connection, pending, answer in waiting:
            connection.send(pending, answer)


def make_protocol() -> type[RestProtocol]:
    """The class of one server's connections, which share an outbox."""
    return type("Connection", (RestProtocol,), {"outbox": Outbox()})
