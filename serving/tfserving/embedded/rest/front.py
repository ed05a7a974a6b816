"""``/v1/models/...`` over HTTP: a bare ASGI application, no framework in a request's path.

Follows TF Serving's ``model_servers/http_server.cc`` and ``http_rest_api_handler.cc``, and for what
belongs to neither its HTTP server, libevent.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from dataclasses import dataclass
from typing import Any

from grpc import StatusCode

from serving.tfserving.embedded.desk import Desk, Done
from serving.tfserving.embedded.json.answers import (
    write_error,
)
from serving.tfserving.embedded.json.metadata import write_metadata, write_status
from serving.tfserving.embedded.metrics import Metrics
from serving.tfserving.embedded.options.flags import Flags
from serving.tfserving.embedded.requests.metadata import model_status
from serving.tfserving.embedded.rest.body import (
    BodyTooLarge,
    ClientGone,
    Intake,
    Receive,
    read_body,
    unpack,
)
from serving.tfserving.embedded.rest.path import Target, find_target
from serving.tfserving.embedded.rest.verbs import Verbs
from serving.tfserving.embedded.status import StatusError, http_status, invalid
from serving.tfserving.embedded.versions.models import Models

log = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

_JSON = (b"content-type", b"application/json")
_TEXT = (b"content-type", b"text/plain")
_HTML = (b"content-type", b"text/html")
_UNSAID = (b"content-type", b"text/html; charset=ISO-8859-1")
"""What libevent says of an answer of which nobody else says anything."""
_CLOSE = (b"connection", b"close")
_CORS: Headers = [
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"POST, GET"),
    (b"access-control-allow-headers", b"Content-Type"),
]

_HANDLED = {"GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"}
"""``evhttp_set_allowed_methods`` in ``evhttp_server.cc``."""
_ORIGIN = re.compile(rb"https?://")


@dataclass(frozen=True, slots=True)
class Reply:
    """What is sent back; the length is said by whoever sends it."""

    status: int
    headers: Headers
    body: bytes


@dataclass(frozen=True, slots=True)
class _Answer:
    """How a request of the API ended, and JSON or nothing."""

    code: StatusCode
    body: bytes


class RestFront:
    """The ASGI application.

    Args:
        models: what is served.
        desk: where requests are worked on.
        metrics: counts the requests.
        metrics_path: where the metrics are shown; None shows them nowhere.
        flags: the command line.

    Attributes:
        intake: counts the bodies that have not ended, whoever reads them.
    """

    def __init__(
        self,
        models: Models,
        desk: Desk,
        metrics: Metrics,
        metrics_path: str | None,
        flags: Flags,
    ) -> None:
        self.intake = Intake()
        self._models = models
        self._desk = desk
        self._metrics = metrics
        self._metrics_path = metrics_path
        self._flags = flags
        self._timeout_seconds = _timeout_seconds(flags)
        self._verbs = Verbs(models, metrics, flags.enable_signature_method_name_check).by_name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        path = _whole_path(scope)
        try:
            body = await read_body(receive, self.intake) if is_api(path) else b""
        except ClientGone:
            return
        except BodyTooLarge:
            await _send(send, _page(413, "Request Entity Too Large"))
            return
        except StatusError as error:
            await _send(send, refuse_body(error))
            return
        reply = self.begin(scope["method"], path, scope["headers"], body)
        await _send(send, reply if isinstance(reply, Reply) else await reply)

    def begin(
        self, method: str, path: str, headers: Headers, body: bytes
    ) -> Reply | Coroutine[Any, Any, Reply]:
        """Answer a request as far as that can be done at once.

        Args:
            method: in capitals.
            path: as it came, percent signs and query included.
            headers: names in small letters.
            body: all of it.

        Returns:
            the answer, or what has to be awaited for it. Neither this nor that raises anything.
        """
        if method not in _HANDLED:
            return _page(501, "Not Implemented")
        if path.partition("?")[0] == self._metrics_path:
            return self._show_metrics(path)
        if is_api(path):
            return self._begin_api(method, path, headers, body)
        return _page(404, "Not Found")

    def _show_metrics(self, path: str) -> Reply:
        wanted = self._metrics_path
        if path != wanted:
            words = f"Unexpected path: {path}. Should be {wanted}"
            return Reply(400, [_TEXT], words.encode())
        return Reply(200, [_TEXT], self._metrics.page())

    def _begin_api(
        self, method: str, path: str, headers: Headers, body: bytes
    ) -> Reply | Coroutine[Any, Any, Reply]:
        """The labels of the metrics are those of ``http_server.cc``."""
        started = time.perf_counter()
        if method == "OPTIONS":
            answer = _preflight(_header(headers, b"origin"))
            return self._counted(None, answer, started, _UNSAID)
        target = find_target(method, path)
        packed = b"gzip" in _header(headers, b"content-encoding")
        try:
            reached = self._dispatch(method, path, target, body, packed)
        except Exception as error:  # nothing that is thrown gets further
            reached = _failed(error)
        if isinstance(reached, _Answer):
            return self._counted(target, reached, started)
        return self._finish(target, reached, started)

    async def _finish(
        self, target: Target | None, reached: Coroutine[Any, Any, Done], started: float
    ) -> Reply:
        try:
            answer = _Answer(StatusCode.OK, (await reached).answer)
        except Exception as error:
            answer = _failed(error)
        return self._counted(target, answer, started)

    def _counted(
        self,
        target: Target | None,
        answer: _Answer,
        started: float,
        kind: tuple[bytes, bytes] = _JSON,
    ) -> Reply:
        name, api = (target.address.name, target.what) if target else ("", "")
        if answer.code is StatusCode.OK:
            api = api if api != "metadata" else ""
            self._metrics.request_latency.add((name, api, "REST"), time.perf_counter() - started)
        self._metrics.request_count.add((name, answer.code.name))
        headers = [kind, *_CORS] if self._flags.rest_api_enable_cors_support else [kind]
        return Reply(http_status(answer.code), headers, answer.body)

    def _dispatch(
        self, method: str, path: str, target: Target | None, body: bytes, packed: bool
    ) -> _Answer | Coroutine[Any, Any, Done]:
        if target is not None and target.wrong_version:
            return _Answer(StatusCode.INVALID_ARGUMENT, b"")  # there, too, without a word
        if method == "GET" and target is not None:
            return _Answer(StatusCode.OK, self._look_up(target))
        if target is None or target.what not in self._verbs:
            raise invalid(f"Malformed request: {method} {path}")
        verb, address = self._verbs[target.what], target.address
        size = max(len(body), self._desk.SMALL_BYTES + 1) if packed else len(body)

        async def work() -> bytes:
            return await verb(address, unpack(body) if packed else body)

        reached = self._desk.begin(work, size, self._timeout_seconds)
        return _Answer(StatusCode.OK, reached.answer) if isinstance(reached, Done) else reached

    def _look_up(self, target: Target) -> bytes:
        if not target.address.name:
            raise invalid("Missing model name in request.")
        if target.what != "metadata":
            return write_status(model_status(self._models.states(target.address)))
        with self._models.use(target.address) as servable:
            return write_metadata(servable)


def refuse_body(error: StatusError) -> Reply:
    """The answer to a request of which the rest is not read."""
    return Reply(http_status(error.code), [_JSON, _CLOSE], write_error(error.message))


def _preflight(origin: bytes) -> _Answer:
    """A browser's question before a request to another origin; both answers have no body."""
    code = StatusCode.OK if _ORIGIN.search(origin) else StatusCode.FAILED_PRECONDITION
    return _Answer(code, b"")


def _timeout_seconds(flags: Flags) -> float | None:
    """None waits as long as it takes."""
    milliseconds = flags.rest_api_timeout_in_ms
    return milliseconds / 1000 if milliseconds > 0 else None


def is_api(path: str) -> bool:
    """Whether TF Serving's interface is asked, and not a page beside it."""
    return path[:4].lower() == "/v1/"


def _whole_path(scope: Scope) -> str:
    """As it came, percent signs and query included."""
    path = scope["raw_path"].decode("latin-1")
    query = scope["query_string"].decode("latin-1")
    return f"{path}?{query}" if query else path


def _header(headers: Headers, wanted: bytes) -> bytes:
    """The first header of that name, empty where there is none."""
    for name, value in headers:
        if name == wanted:
            return value
    return b""


def _failed(error: Exception) -> _Answer:
    if isinstance(error, StatusError):
        return _Answer(error.code, write_error(error.message))
    log.error("a REST request failed", exc_info=error)
    return _Answer(StatusCode.INTERNAL, write_error(f"{type(error).__name__}: {error}"))


async def _send(send: Send, reply: Reply) -> None:
    headers = [*reply.headers, (b"content-length", str(len(reply.body)).encode())]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})


def _page(status: int, reason: str) -> Reply:
    """libevent's ``evhttp_send_error``: what nobody here answers."""
    page = (
        f"<HTML><HEAD>\n<TITLE>{status} {reason}</TITLE>\n</HEAD><BODY>\n"
        f"<H1>{reason}</H1>\n</BODY></HTML>\n"
    )
    return Reply(status, [_HTML, _CLOSE], page.encode())
