"""One kept HTTP/1.1 connection: a request is sent when the last one's answer is there."""

from __future__ import annotations

from collections.abc import Iterable

import httptools

from serving.load.connection import Connection

_OK = 200


def ready_request(
    host: str,
    path: str,
    body: bytes,
    headers: Iterable[tuple[str, str]],
) -> bytes:
    """Head and body of a POST.

    Args:
        host: for the Host header.
        path: of the URL.
        body: as it goes.
        headers: besides Host, Accept and Content-Length.
    """
    more = "".join(f"{name}: {value}\r\n" for name, value in headers)
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\n{more}"
        f"Accept: */*\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Http1Connection(Connection):
    """Reads answers with httptools, whatever form the server gives their bodies."""

    def __init__(self) -> None:
        super().__init__()
        self._parser = httptools.HttpResponseParser(self)
        self._body: list[bytes] = []
        self._complete = False

    def send(self, request: bytes) -> None:
        self._body.clear()
        self.write(request)

    def received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self.fail(f"no HTTP: {error}")
            return
        # Not from inside the parser, which starts again by itself: a callback must not send meanwhile.
        if self._complete:
            self._complete = False
            self._hand_over(self._parser.get_status_code(), b"".join(self._body))

    def on_body(self, part: bytes) -> None:
        self._body.append(part)

    def on_message_complete(self) -> None:
        self._complete = True

    def _hand_over(self, status: int, body: bytes) -> None:
        if status == _OK:
            self.on_answer(body, "")
        else:
            self.on_answer(None, f"HTTP {status}: {body[:200].decode(errors='replace')}")
