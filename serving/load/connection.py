"""What HTTP/1.1 and HTTP/2 connections have in common: bytes in, bytes out, no socket of their own."""

from __future__ import annotations

from collections.abc import Callable

Answered = Callable[[bytes | None, str], None]
"""Called with the answer's body, or with None and what went wrong."""

Write = Callable[[bytes], None]


class Connection:
    """A connection with at most one request under way.

    Attributes:
        on_answer: set by whoever sends.
    """

    def __init__(self) -> None:
        self.on_answer: Answered = lambda _body, _problem: None
        self.write: Write = lambda _data: None
        self.is_closed = False

    def connected(self, write: Write) -> None:
        """The line is there.

        Args:
            write: puts bytes on it.
        """
        self.write = write

    def send(self, request: bytes) -> None:
        """Send a ready request; ``on_answer`` is called once."""
        raise NotImplementedError

    def received(self, data: bytes) -> None:
        """Bytes have come."""
        raise NotImplementedError

    def lost(self, reason: str) -> None:
        """The line is gone."""
        self.fail(f"connection lost: {reason}")

    def close(self) -> None:
        """What comes from now on is nobody's business."""
        self.is_closed = True

    def fail(self, reason: str) -> None:
        """No answer will come any more."""
        if not self.is_closed:
            self.close()
            self.on_answer(None, reason)
