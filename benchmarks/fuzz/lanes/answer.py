"""What came back, or that nothing did; what a lane is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from benchmarks.fuzz.inputs.input import Input


class Came(Enum):
    """How an input's sending ended."""

    ANSWER = "answer"
    CLOSED = "closed"
    """The other side ended the connection, or itself, before it had answered."""
    NOTHING = "nothing"
    """No answer within the deadline."""
    REFUSED = "refused"
    """Nobody was there to be asked."""


@dataclass(frozen=True)
class Answer:
    """What an input led to.

    Attributes:
        came: whether there was an answer at all.
        status: of HTTP the number, of gRPC the code's name, of a parser ``fine`` or ``wrong``.
        content: the body; for gRPC the message or the error's words.
        form: the media type, of HTTP.
    """

    came: Came
    status: str = ""
    content: bytes = b""
    form: str = ""


class Lane(Protocol):
    """A way to send inputs."""

    def ask(self, inputs: Sequence[Input]) -> list[Answer]:
        """Send all of them; one answer for each, in their order. Never raises over an answer."""

    def close(self) -> None:
        """End what was opened."""
