"""One kept HTTP/1.1 connection: a request is sent when the last one's answer is there."""

from __future__ import annotations

import asyncio

import httptools

from benchmarks.server.load.connection import Connection

_OK = 200


def ready_request(host: str, path: str, body: bytes) -> bytes:
    """Head and body of a POST of JSON."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        f"Accept: */*\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Http1Connection(Connection):
    """Reads answers with httptools, whatever form the server gives their bodies."""

    def __init__(self) -> None:
        super().__init__()
        self._parser = httptools.HttpResponseParser(self)
        self._body: list[bytes] = []

    def send(self, request: bytes) -> None:
        self._body.clear()
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self.fail(f"no HTTP: {error}")

    def on_body(self, part: bytes) -> None:
        self._body.append(part)

    def on_message_complete(self) -> None:
        status, body = self._parser.get_status_code(), b"".join(self._body)
        # Parsers start again by themselves on a kept connection; a callback must not send meanwhile.
        asyncio.get_running_loop().call_soon(self._hand_over, status, body)

    def _hand_over(self, status: int, body: bytes) -> None:
        if status == _OK:
            self.on_answer(body, "")
        else:
            self.on_answer(None, f"HTTP {status}: {body[:200].decode(errors='replace')}")
