"""One request as bytes: what a load generator sends again and again without encoding it again."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class WireCall:
    """A ready request.

    Attributes:
        protocol: ``REST`` or ``gRPC``.
        target: the URL of a POST, or ``host:port``.
        method: the full gRPC method, ``/package.Service/Method``; empty for REST.
        headers: HTTP headers, or gRPC metadata in lower case.
        body: the JSON text, or the serialised message.
    """

    protocol: str
    target: str
    method: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
