"""The body of an HTTP request: all of its parts, and unpacked.

As in TF Serving's ``util/net_http/server/internal/evhttp_request.cc``, a body is unpacked where
``Content-Encoding`` says gzip, up to 100 MB, and one that cannot be unpacked counts as empty.
Answers are never packed, as there.
"""

from __future__ import annotations

import zlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from grpc import StatusCode

from serving.tfserving.embedded.status import StatusError

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

MAX_BYTES = 1 << 30
"""Of one body, and of all together that have not ended. Our own; TF Serving takes any."""

AROUND_PART = 64
"""Bytes that a part of a body takes beside what is in it."""

_MAX_UNPACKED_BYTES = 100 * 1024 * 1024
"""``ZLib::kMaxUncompressedBytes`` in ``compression/gzip_zlib.h``."""

_GZIP_ONLY = 16 + zlib.MAX_WBITS


class BodyTooLarge(Exception):
    """There is more than ``MAX_BYTES`` of it."""


class ClientGone(Exception):
    """It has closed the connection, or what it sent cannot be read, before the body's end."""


class Intake:
    """Counts what is held of bodies that have not ended, on all connections together."""

    def __init__(self) -> None:
        self._bytes = 0

    def add(self, size: int) -> None:
        """So many bytes more are held.

        Raises:
            StatusError: RESOURCE_EXHAUSTED, there is no room for them.
        """
        if self._bytes + size > MAX_BYTES:
            raise StatusError(
                StatusCode.RESOURCE_EXHAUSTED, "Too much of unfinished requests is held already"
            )
        self._bytes += size

    def remove(self, size: int) -> None:
        """So many bytes are held no longer."""
        self._bytes -= size


async def read_body(receive: Receive, intake: Intake) -> bytes:
    """All parts of the body as they came.

    Raises:
        BodyTooLarge: it does not end within the bound.
        ClientGone: it does not end at all.
        StatusError: RESOURCE_EXHAUSTED, it has no room beside others.
    """
    part, more = await _read_part(receive)
    parts = [part]
    size = 0
    try:
        while more:
            held = len(part) + AROUND_PART
            intake.add(held)
            size += held
            part, more = await _read_part(receive)
            parts.append(part)
            if size + len(part) > MAX_BYTES:
                raise BodyTooLarge
    finally:
        intake.remove(size)
    return b"".join(parts)


async def _read_part(receive: Receive) -> tuple[bytes, bool]:
    """What there is of the body, and whether more comes."""
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ClientGone
    return message.get("body", b""), message.get("more_body", False)


def unpack(body: bytes) -> bytes:
    """The bytes in a gzip file; none where it is damaged, cut off or too large."""
    unpacker = zlib.decompressobj(_GZIP_ONLY)
    try:
        unpacked = unpacker.decompress(body, _MAX_UNPACKED_BYTES)
    except zlib.error:
        return b""
    return unpacked if unpacker.eof and not unpacker.unused_data else b""
