"""``/v1/models/...`` over HTTP: a bare ASGI application, no framework in a request's path.

Follows TF Serving's ``model_servers/http_server.cc`` and ``http_rest_api_handler.cc``, and for what
belongs to neither its HTTP server, libevent.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

from grpc import StatusCode

from serving.tfserving.embedded.desk import Desk
from serving.tfserving.embedded.graph.saved_model import Servable
from serving.tfserving.embedded.graph.signature import DEFAULT_SIGNATURE, Signature
from serving.tfserving.embedded.json.answers import (
    write_classes,
    write_error,
    write_outputs,
    write_regressions,
)
from serving.tfserving.embedded.json.examples import read_examples
from serving.tfserving.embedded.json.metadata import write_metadata, write_status
from serving.tfserving.embedded.json.tensors import Body, parse_body, read_inputs
from serving.tfserving.embedded.metrics import Metrics
from serving.tfserving.embedded.options.flags import Flags
from serving.tfserving.embedded.requests.inference import Inference
from serving.tfserving.embedded.requests.metadata import model_status
from serving.tfserving.embedded.requests.predict import predict
from serving.tfserving.embedded.rest.body import BodyTooLarge, Receive, read_body, unpack
from serving.tfserving.embedded.rest.path import Target, find_target
from serving.tfserving.embedded.status import StatusError, http_status, invalid
from serving.tfserving.embedded.versions.models import Address, Models
from serving.tfserving.messages import ClassificationRequest, RegressionRequest

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


@dataclass(frozen=True)
class _Answer:
    """What is sent back.

    Attributes:
        code: how it ended.
        body: JSON, or nothing.
    """

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
    """

    def __init__(
        self,
        models: Models,
        desk: Desk,
        metrics: Metrics,
        metrics_path: str | None,
        flags: Flags,
    ) -> None:
        self._models = models
        self._desk = desk
        self._metrics = metrics
        self._metrics_path = metrics_path
        self._flags = flags
        self._timeout_seconds = _timeout_seconds(flags)
        self._inference = Inference(metrics, flags.enable_signature_method_name_check)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        try:
            await self._route(scope, receive, send)
        except BodyTooLarge:
            await _send_page(send, 413, "Request Entity Too Large")

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        method, path = scope["method"], _whole_path(scope)
        if method not in _HANDLED:
            await _send_page(send, 501, "Not Implemented")
        elif path.partition("?")[0] == self._metrics_path:
            await self._show_metrics(path, send)
        elif path[:4].lower() == "/v1/":
            await self._answer_api(scope, path, receive, send)
        else:
            await _send_page(send, 404, "Not Found")

    async def _show_metrics(self, path: str, send: Send) -> None:
        wanted = self._metrics_path
        if path != wanted:
            words = f"Unexpected path: {path}. Should be {wanted}"
            await _send(send, 400, [_TEXT], words.encode())
        else:
            await _send(send, 200, [_TEXT], self._metrics.page())

    async def _answer_api(self, scope: Scope, path: str, receive: Receive, send: Send) -> None:
        """The labels of the metrics are those of ``http_server.cc``."""
        started = time.perf_counter()
        method = scope["method"]
        body = await read_body(receive)
        target = None if method == "OPTIONS" else find_target(method, path)
        if method == "OPTIONS":
            headers, answer = [_UNSAID], _preflight(_header(scope, b"origin"))
        else:
            headers = [_JSON]
            packed = b"gzip" in _header(scope, b"content-encoding")
            answer = await self._answer(method, path, target, body, packed)
        self._count(target, answer.code, time.perf_counter() - started)
        headers = headers + _CORS if self._flags.rest_api_enable_cors_support else headers
        await _send(send, http_status(answer.code), headers, answer.body)

    def _count(self, target: Target | None, code: StatusCode, seconds: float) -> None:
        name, api = (target.address.name, target.what) if target else ("", "")
        if code is StatusCode.OK:
            api = api if api != "metadata" else ""
            self._metrics.request_latency.add((name, api, "REST"), seconds)
        self._metrics.request_count.add((name, code.name))

    async def _answer(
        self, method: str, path: str, target: Target | None, body: bytes, packed: bool
    ) -> _Answer:
        """Nothing that is thrown gets further."""
        if target is not None and target.wrong_version:
            return _Answer(StatusCode.INVALID_ARGUMENT, b"")  # there, too, without a word
        try:
            return _Answer(StatusCode.OK, await self._dispatch(method, path, target, body, packed))
        except StatusError as error:
            return _Answer(error.code, write_error(error.message))
        except Exception as error:
            log.exception("a REST request failed")
            return _Answer(StatusCode.INTERNAL, write_error(f"{type(error).__name__}: {error}"))

    async def _dispatch(
        self, method: str, path: str, target: Target | None, body: bytes, packed: bool
    ) -> bytes:
        if method == "GET" and target is not None:
            return self._look_up(target)
        verbs = {"predict": self._predict, "classify": self._classify, "regress": self._regress}
        if target is None or target.what not in verbs:
            raise invalid(f"Malformed request: {method} {path}")
        verb, address = verbs[target.what], target.address
        size = max(len(body), self._desk.SMALL_BYTES + 1) if packed else len(body)

        async def work() -> bytes:
            return await verb(address, parse_body(unpack(body) if packed else body))

        return await self._desk.work(work, size, self._timeout_seconds)

    def _look_up(self, target: Target) -> bytes:
        if not target.address.name:
            raise invalid("Missing model name in request.")
        if target.what != "metadata":
            return write_status(model_status(self._models.states(target.address)))
        with self._models.use(target.address) as servable:
            return write_metadata(servable)

    async def _predict(self, address: Address, body: Body) -> bytes:
        with self._models.use(address) as servable:
            signature = _find_signature(servable, body.signature_name)
            form, inputs = read_inputs(body, signature)
            if self._flags.enable_signature_method_name_check:
                signature.check_method()
            outputs = await predict(servable, signature, inputs, self._metrics)
        return write_outputs(outputs, signature.outputs, form)

    async def _classify(self, address: Address, body: Body) -> bytes:
        request = ClassificationRequest(input=read_examples(body))
        request.model_spec.name = address.name
        request.model_spec.signature_name = body.signature_name
        with self._models.use(address) as servable:
            response = await self._inference.classify(servable, request)
        return write_classes(response.result)

    async def _regress(self, address: Address, body: Body) -> bytes:
        request = RegressionRequest(input=read_examples(body))
        request.model_spec.name = address.name
        request.model_spec.signature_name = body.signature_name
        with self._models.use(address) as servable:
            response = await self._inference.regress(servable, request)
        return write_regressions(response.result)


def _preflight(origin: bytes) -> _Answer:
    """A browser's question before a request to another origin; both answers have no body."""
    code = StatusCode.OK if _ORIGIN.search(origin) else StatusCode.FAILED_PRECONDITION
    return _Answer(code, b"")


def _timeout_seconds(flags: Flags) -> float | None:
    """None waits as long as it takes."""
    milliseconds = flags.rest_api_timeout_in_ms
    return milliseconds / 1000 if milliseconds > 0 else None


def _whole_path(scope: Scope) -> str:
    """As it came, percent signs and query included."""
    path = scope["raw_path"].decode("latin-1")
    query = scope["query_string"].decode("latin-1")
    return f"{path}?{query}" if query else path


def _header(scope: Scope, name: bytes) -> bytes:
    """The first header of that name, empty where there is none."""
    return next((value for key, value in scope["headers"] if key == name), b"")


async def _send(send: Send, status: int, headers: Headers, body: bytes) -> None:
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": body})


async def _send_page(send: Send, status: int, reason: str) -> None:
    """libevent's ``evhttp_send_error``: what nobody here answers."""
    page = (
        f"<HTML><HEAD>\n<TITLE>{status} {reason}</TITLE>\n</HEAD><BODY>\n"
        f"<H1>{reason}</H1>\n</BODY></HTML>\n"
    )
    await _send(send, status, [_HTML, _CLOSE], page.encode())


def _find_signature(servable: Servable, name: str) -> Signature:
    """As ``predict.find_signature``, with the words and code that TF Serving's REST front has."""
    wanted = name or DEFAULT_SIGNATURE
    if wanted not in servable.signatures:
        raise invalid(f'Serving signature name: "{wanted}" not found in signature def')
    return servable.signatures[wanted]
