"""One HTTP/2 connection for unary gRPC calls, one at a time: RFC 9113, as much as that needs.

A gRPC library in Python costs the client about as much as the server spends on a request. Here a
call is two frames whose bytes are ready but for the stream's number. Answers' header blocks are
not decoded: an answer is right by its message, and a call without a message is an error.
"""

from __future__ import annotations

from collections.abc import Iterable

from serving.load.connection import Connection, Write

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RESET, _SETTINGS, _PING, _GOAWAY, _WINDOW = 0, 1, 3, 4, 6, 7, 8
_END_STREAM, _ACK, _END_HEADERS, _PADDED = 0x1, 0x1, 0x4, 0x8
_SETTING_WINDOW, _SETTING_FRAME = 4, 5

_DEFAULT_WINDOW = 65_535
_LARGEST_WINDOW = 2**31 - 1
_REFILL = 2**28
_HEAD = 9
_GRPC_HEAD = 5
_PREFIX = 127


def header_block(authority: str, path: str, metadata: Iterable[tuple[str, str]] = ()) -> bytes:
    """HPACK (RFC 7541): literals that leave the table as it is, so the block is always the same.

    Args:
        authority: ``host:port``.
        path: the full method, ``/package.Service/Method``.
        metadata: names in lower case.
    """
    fields = {
        ":method": "POST",
        ":scheme": "http",
        ":path": path,
        ":authority": authority,
        "te": "trailers",
        "content-type": "application/grpc",
        **dict(metadata),
    }
    parts = [b"\x00" + _literal(name) + _literal(value) for name, value in fields.items()]
    return b"".join(parts)


def ready_message(message: bytes) -> bytes:
    """A message with gRPC's own head: not compressed, its length."""
    return b"\x00" + len(message).to_bytes(4, "big") + message


class Http2Connection(Connection):
    """Sends ready messages to one method."""

    def __init__(self, headers: bytes) -> None:
        super().__init__()
        self._headers = headers
        self._stream = -1
        self._window = _DEFAULT_WINDOW  # of the connection, for what we send
        self._stream_window = self._initial_window = _DEFAULT_WINDOW
        self._largest_frame = 16_384
        self._unsent = b""
        self._unread = b""
        self._answer: list[bytes] = []
        self._received = 0

    def connected(self, write: Write) -> None:
        super().connected(write)
        setting = _SETTING_WINDOW.to_bytes(2, "big") + _LARGEST_WINDOW.to_bytes(4, "big")
        more = (_LARGEST_WINDOW - _DEFAULT_WINDOW).to_bytes(4, "big")
        self.write(_PREFACE + _frame(_SETTINGS, 0, 0, setting) + _frame(_WINDOW, 0, 0, more))

    def send(self, request: bytes) -> None:
        self._stream += 2
        self._answer.clear()
        self._stream_window = self._initial_window
        head = _frame(_HEADERS, _END_HEADERS, self._stream, self._headers)
        self._unsent = request
        self.write(head + self._frames_that_may_go())

    def received(self, data: bytes) -> None:
        self._unread += data
        while len(self._unread) >= _HEAD:
            end = _HEAD + int.from_bytes(self._unread[:3], "big")
            if len(self._unread) < end:
                return
            kind, flags = self._unread[3], self._unread[4]
            stream = int.from_bytes(self._unread[5:_HEAD], "big")
            body, self._unread = self._unread[_HEAD:end], self._unread[end:]
            self._take(kind, flags, stream, body)

    def _take(self, kind: int, flags: int, stream: int, body: bytes) -> None:
        if kind in (_DATA, _HEADERS) and stream == self._stream:
            if kind == _DATA:
                self._take_data(flags, body)
            if flags & _END_STREAM:
                self._complete()
        elif kind == _WINDOW:
            self._open_window(stream, int.from_bytes(body, "big"))
        elif kind == _SETTINGS and not flags & _ACK:
            self._apply(body)
        elif kind == _PING and not flags & _ACK:
            self.write(_frame(_PING, _ACK, 0, body))
        elif kind == _GOAWAY:
            self.fail(f"GOAWAY {body[8:208]!r}")
        elif kind == _RESET and stream == self._stream:
            self.on_answer(None, f"stream reset, code {int.from_bytes(body, 'big')}")

    def _take_data(self, flags: int, body: bytes) -> None:
        self._received += len(body)
        self._answer.append(body[1 : len(body) - body[0]] if flags & _PADDED else body)
        if self._received > _REFILL:
            self.write(_frame(_WINDOW, 0, 0, self._received.to_bytes(4, "big")))
            self._received = 0

    def _complete(self) -> None:
        message = b"".join(self._answer)[_GRPC_HEAD:]
        self.on_answer(message or None, "" if message else "a gRPC error instead of a message")

    def _open_window(self, stream: int, more: int) -> None:
        if stream == 0:
            self._window += more
        elif stream == self._stream:
            self._stream_window += more
        self._go_on()

    def _apply(self, settings: bytes) -> None:
        for at in range(0, len(settings), 6):
            name = int.from_bytes(settings[at : at + 2], "big")
            value = int.from_bytes(settings[at + 2 : at + 6], "big")
            if name == _SETTING_WINDOW:
                self._stream_window += value - self._initial_window
                self._initial_window = value
            elif name == _SETTING_FRAME:
                self._largest_frame = value
        self.write(_frame(_SETTINGS, _ACK, 0, b""))
        self._go_on()

    def _go_on(self) -> None:
        if self._unsent:
            self.write(self._frames_that_may_go())

    def _frames_that_may_go(self) -> bytes:
        """Of what is still to be sent, as much as the server's windows allow."""
        frames = []
        while self._unsent:
            size = min(len(self._unsent), self._window, self._stream_window, self._largest_frame)
            if size <= 0:
                break
            part, self._unsent = self._unsent[:size], self._unsent[size:]
            self._window -= size
            self._stream_window -= size
            frames.append(_frame(_DATA, 0 if self._unsent else _END_STREAM, self._stream, part))
        return b"".join(frames)


def _frame(kind: int, flags: int, stream: int, body: bytes) -> bytes:
    return len(body).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + body


def _literal(text: str) -> bytes:
    encoded = text.encode()
    return _length(len(encoded)) + encoded


def _length(number: int) -> bytes:
    """An integer with a prefix of seven bits (RFC 7541, 5.1)."""
    if number < _PREFIX:
        return bytes((number,))
    parts, number = [_PREFIX], number - _PREFIX
    while number >= 128:
        parts.append(number % 128 + 128)
        number //= 128
    return bytes((*parts, number))
