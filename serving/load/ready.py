"""A request as the very bytes that go over the line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from serving.load.connection import Connection
from serving.load.http1 import Http1Connection, ready_request
from serving.load.http2 import Http2Connection, header_block, ready_message
from serving.load.lines import Lines
from serving.wire.call import WireCall

Headers = Sequence[tuple[str, str]]
JSON: Headers = (("Content-Type", "application/json"),)


@dataclass(frozen=True)
class Ready:
    """Requests that differ in their bodies only, and how they are sent.

    Attributes:
        host: where to.
        port: where to.
        requests: ready to send.
        make: a connection that sends them.
    """

    host: str
    port: int
    requests: tuple[bytes, ...]
    make: Callable[[], Connection]

    @classmethod
    def of(cls, calls: Sequence[WireCall]) -> Ready:
        """Make ready calls of one endpoint."""
        first, bodies = calls[0], [call.body for call in calls]
        if first.protocol == "gRPC":
            host, _, port = first.target.rpartition(":")
            return ready_bodies("gRPC", host, int(port), first.method, bodies, first.headers)
        url = urlsplit(first.target)
        path = url.path + (f"?{url.query}" if url.query else "")
        return ready_bodies("REST", url.hostname or "", url.port or 80, path, bodies, first.headers)

    def open(self, count: int) -> Lines:
        """So many lines; use them as a context manager.

        Raises:
            Unreachable: nobody listens there.
        """
        return Lines(self.host, self.port, self.make, count)


def ready_bodies(
    protocol: str,
    host: str,
    port: int,
    path: str,
    bodies: Sequence[bytes],
    headers: Headers | None = None,
) -> Ready:
    """Make ready requests that differ in their bodies.

    Args:
        protocol: ``REST`` or ``gRPC``.
        host: where to.
        port: where to.
        path: of the URL, or the full method.
        bodies: JSON texts, or serialised messages.
        headers: of HTTP, or gRPC's metadata; None for JSON's content type, or none.
    """
    authority = f"{host}:{port}"
    if protocol == "gRPC":
        block = header_block(authority, path, headers or ())
        messages = tuple(map(ready_message, bodies))
        return Ready(host, port, messages, lambda: Http2Connection(block))
    more = JSON if headers is None else headers
    requests = tuple(ready_request(authority, path, body, more) for body in bodies)
    return Ready(host, port, requests, Http1Connection)
