"""One input: bytes, and how they are to be sent."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis.strategies import SearchStrategy


@dataclass(frozen=True)
class Input:
    """What is sent once.

    Attributes:
        kind: for HTTP what the request is like (``lanes.http``), for gRPC the method's name
            (``lanes.rpc``), else the parser's name (``parsers``). Kinds of lanes differ.
        content: a whole HTTP request, a serialized message, or what the parser is given.
    """

    kind: str
    content: bytes


Inputs = SearchStrategy[list[Input]]
"""One example gives several inputs, for structure is dear and damage is cheap."""
