"""One connection by uvicorn, for clients of every kind: those that close their side, and those that do harm.

libevent sets no bounds in TF Serving. Here a request that does not end holds neither memory nor a
connection for ever.
"""

from __future__ import annotations

import asyncio
import re

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_HEAD_BYTES = 64 * 1024
"""Of request line and headers. libevent takes any, and answers 400, as here, where it is told a bound."""

SILENCE_SECONDS = 60.0
"""A request of which nothing more comes for so long is given up."""

SLOW_SECONDS = 300.0
SLOW_BYTES_PER_SECOND = 500
"""So is one that has come at less than this rate for so long; it is that of Apache's ``mod_reqtimeout``. And so is
an answer of which the kernel has taken nothing for so long: it does when a third of what it holds has been read.
"""

_UPGRADE = re.compile(rb"\n[Uu][Pp][Gg][Rr][Aa][Dd][Ee]:")
_NO_UPGRADE = b"\nIgnored:"

_AROUND_HEADER = len(b": \r\n")


class HeadTooLarge(Exception):
    """There is more than ``MOST_HEAD_BYTES`` of it. The parser makes a refusal of it."""


class Connection(HttpToolsProtocol):
    """Answers also a client that has closed its side, and waits only so long for half a request."""

    _is_reading = False
    """Whether a request has begun and not ended."""
    _unanswered = 0
    """Requests that have ended without an answer; -1 where the answer came before the end."""
    _has_ended = False
    """Whether the client sends no more."""
    _refusal: str | None = None
    """What is said when all is answered; nothing of what comes after it is looked at."""
    _untold_bytes = 0
    """Read since the last part of a body or end of a request: of a head, or of what follows a body."""
    _waits_since = 0.0
    """Since when half a request has waited for its client, on the event loop's clock."""
    _slow_since = 0.0
    """Since when the bytes are counted that come of it; 0 where none have been."""
    _slow_bytes = 0
    _patience: asyncio.TimerHandle | None = None
    _untaken_bytes = 0
    """Of answers, when it was last looked whether the client takes them."""
    _taking: asyncio.TimerHandle | None = None
    """The next look; none while the client takes what there is."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait_for_request()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._unset_keepalive_if_required()  # uvicorn does not after an error: it would hold all this
        for timer in (self._patience, self._taking):
            if timer is not None:
                timer.cancel()

    def data_received(self, data: bytes) -> None:
        if self._refusal is not None:
            return
        self._untold_bytes += len(data)
        self._slow_bytes += len(data)
        if not self._is_reading and _UPGRADE.search(data, 0, MOST_HEAD_BYTES):
            data = _without_upgrade(data)
        super().data_received(data)
        if self._is_reading:
            if not self.transport.is_closing():
                self.wait_for_more()
        elif self._unanswered <= 0 and self.timeout_keep_alive_task is None:
            self._wait_for_request()  # these were empty lines, for which uvicorn stopped to wait

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_taking()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._taking is not None:
            self._taking.cancel()

    def on_message_begin(self) -> None:
        self._is_reading = True
        self._slow_since = 0.0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self.note_head()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self.note_body()
        super().on_body(body)

    def on_message_complete(self) -> None:
        self.note_end()
        super().on_message_complete()

    def note_head(self) -> None:
        """Request line and headers are here.

        Raises:
            HeadTooLarge: they are.
        """
        size = len(self.url)
        for name, value in self.headers:
            size += len(name) + len(value) + _AROUND_HEADER
        if size > MOST_HEAD_BYTES:
            raise HeadTooLarge

    def note_body(self) -> None:
        """A part of a body is here."""
        self._untold_bytes = 0

    def note_end(self) -> None:
        """A request is here as a whole."""
        self._is_reading = False
        self._untold_bytes = 0
        self._unanswered += 1

    def on_response_complete(self) -> None:
        self._unanswered -= 1
        super().on_response_complete()
        if self._is_reading:
            self._begin_to_wait(self.loop.time())
        if self._unanswered > 0:
            return
        if self._refusal is not None:
            self.send_400_response(self._refusal)
        elif self._has_ended:
            self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """Refuse what cannot be read, after the answers to what came before it."""
        if self._unanswered > 0:
            self._refusal = msg
            if self.pipeline and self.pipeline[0][0].more_body:
                self.pipeline.popleft()
        elif not self.transport.is_closing():
            super().send_400_response(msg)

    def eof_received(self) -> bool:  # type: ignore[override]
        """Whether the connection stays, for what has been asked to be answered.

        libevent does not read while a request is worked on, so it does not see that end before its answer.
        """
        self._has_ended = True
        if self._unanswered <= 0:
            return False
        if not self._is_reading and self._refusal is None:
            self.cycle.keep_alive = False  # it is the last one
        return True

    def wait_for_more(self) -> None:
        """A request is here in part."""
        if self._untold_bytes > MOST_HEAD_BYTES:
            self.send_400_response("Invalid HTTP request received.")
            return
        self._waits_since = self.loop.time()
        if not self._slow_since:
            self._begin_to_wait(self._waits_since)
        if self._patience is None:
            self._patience = self.loop.call_later(SILENCE_SECONDS, self._end_patience)

    def _wait_for_request(self) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )

    def _begin_to_wait(self, now: float) -> None:
        self._waits_since = self._slow_since = now
        self._slow_bytes = 0

    def _end_patience(self) -> None:
        self._patience = None
        if not self._is_reading or self.transport.is_closing():
            return
        now = self.loop.time()
        if self._unanswered > 0 or self.flow.read_paused:  # it is the client that waits
            self._begin_to_wait(now)
        if now >= self._slow_since + SLOW_SECONDS:
            if self._slow_bytes < SLOW_SECONDS * SLOW_BYTES_PER_SECOND:
                self.transport.close()
                return
            self._slow_since, self._slow_bytes = now, 0
        until = min(self._waits_since + SILENCE_SECONDS, self._slow_since + SLOW_SECONDS)
        if until > now:
            self._patience = self.loop.call_later(until - now, self._end_patience)
        else:
            self.transport.close()

    def _watch_taking(self) -> None:
        self._untaken_bytes = self.transport.get_write_buffer_size()
        self._taking = self.loop.call_later(SLOW_SECONDS, self._end_taking)

    def _end_taking(self) -> None:
        if self.transport.get_write_buffer_size() == self._untaken_bytes:
            self.transport.abort()  # to close is to wait until all is taken
        else:
            self._watch_taking()


def _without_upgrade(data: bytes) -> bytes:
    """The same with a header ``Upgrade`` of the request at its beginning under a name that says nothing.

    Java's HttpClient and ``curl --http2`` ask for HTTP/2 so. libevent goes on as if they had not, while
    httptools takes what follows the headers, the body too, for another protocol's.
    """
    head, end, rest = data.partition(b"\r\n\r\n")
    return _UPGRADE.sub(_NO_UPGRADE, head) + end + rest
