"""The body of an HTTP request: all of its parts, and unpacked.

As in TF Serving's ``util/net_http/server/internal/evhttp_request.cc``, a body is unpacked where
``Content-Encoding`` says gzip, up to 100 MB, and one that cannot be unpacked counts as empty.
Answers are never packed, as there.
"""

from __future__ import annotations

import zlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

MAX_BYTES = 1 << 30
"""Our own; TF Serving takes a body of any size."""

_MAX_UNPACKED_BYTES = 100 * 1024 * 1024
"""``ZLib::kMaxUncompressedBytes`` in ``compression/gzip_zlib.h``."""

_GZIP_ONLY = 16 + zlib.MAX_WBITS


class BodyTooLarge(Exception):
    """There is more than ``MAX_BYTES`` of it."""


async def read_body(receive: Receive) -> bytes:
    """All parts of the body as they came.

    Raises:
        BodyTooLarge: it does not end within the bound.
    """
    message = await receive()
    body: bytes = message.get("body", b"")
    if not message.get("more_body", False):
        return body
    parts, size = [body], len(body)
    while message.get("more_body", False):
        message = await receive()
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > MAX_BYTES:
            raise BodyTooLarge
    return b"".join(parts)


def unpack(body: bytes) -> bytes:
    """The bytes in a gzip file; none where it is damaged, cut off or too large."""
    unpacker = zlib.decompressobj(_GZIP_ONLY)
    try:
        unpacked = unpacker.decompress(body, _MAX_UNPACKED_BYTES)
    except zlib.error:
        return b""
    return unpacked if unpacker.eof and not unpacker.unused_data else b""
