"""What both kinds of connection have in common."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

Answered = Callable[[bytes | None, str], None]
"""Called with the answer's body, or with None and what went wrong."""


class Connection(asyncio.Protocol):
    """A connection with at most one request under way.

    Attributes:
        on_answer: set by whoever sends.
    """

    def __init__(self) -> None:
        self.on_answer: Answered = lambda _body, _problem: None
        self.transport: asyncio.Transport
        self._closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.fail(f"connection lost: {exc or 'closed by the server'}")

    def send(self, request: bytes) -> None:
        """Send a ready request; ``on_answer`` is called once."""
        raise NotImplementedError

    def close(self) -> None:
        self._closed = True
        self.transport.close()

    def fail(self, reason: str) -> None:
        """No answer will come any more."""
        if not self._closed:
            self.close()
            self.on_answer(None, reason)
