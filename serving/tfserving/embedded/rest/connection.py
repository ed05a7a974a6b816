"""One connection by uvicorn, for clients of every kind.

uvicorn closes a connection when its client says that it will send no more, answered or not.
"""

from __future__ import annotations

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class Connection(HttpToolsProtocol):
    """Answers also a client that has closed its side."""

    _is_reading = False
    """Whether a request has begun and not ended."""
    _unanswered = 0
    """Requests that have ended without an answer; -1 where the answer came before the end."""
    _has_ended = False
    """Whether the client sends no more."""

    def on_message_begin(self) -> None:
        self._is_reading = True
        super().on_message_begin()

    def on_message_complete(self) -> None:
        self.note_end()
        super().on_message_complete()

    def note_end(self) -> None:
        """A request is here as a whole."""
        self._is_reading = False
        self._unanswered += 1

    def on_response_complete(self) -> None:
        self._unanswered -= 1
        super().on_response_complete()
        if self._has_ended and self._unanswered <= 0:
            self.transport.close()

    def eof_received(self) -> bool:  # type: ignore[override]
        """Whether the connection stays, for what has been asked to be answered.

        libevent does not read while a request is worked on, so it does not see that end before its answer.
        """
        self._has_ended = True
        if self._unanswered <= 0:
            return False
        if not self._is_reading:
            self.cycle.keep_alive = False  # it is the last one
        return True
