"""``/v1/models/...`` over HTTP: a bare ASGI application, no framework in a request's path."""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import unquote

import orjson
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from serving.tfserving.embedded.json_tensors import (
    parse_body,
    read_inputs,
    write_error,
    write_outputs,
)
from serving.tfserving.embedded.metadata import SIGNATURE_DEF, model_status, signature_map
from serving.tfserving.embedded.models import Address, Models
from serving.tfserving.embedded.predict import Desk, predict
from serving.tfserving.embedded.saved_model import Servable
from serving.tfserving.embedded.signature import DEFAULT_SIGNATURE, Signature
from serving.tfserving.embedded.status import StatusError, invalid

log = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

# Both from TF Serving's ``model_servers/http_rest_api_util.cc``.
_MODEL = r"/v1/models/(?P<name>[^/:]+)(?:/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?"
_POST = re.compile(rf"{_MODEL}:(?P<verb>predict|classify|regress)", re.IGNORECASE)
_GET = re.compile(rf"{_MODEL}(?:/(?P<part>metadata))?", re.IGNORECASE)

_MAX_VERSION = 2**63 - 1
_HEADERS = (b"content-type", b"application/json")


class RestFront:
    """The ASGI application.

    Args:
        models: what is served.
        desk: where requests are worked on.
        timeout_seconds: longest wait for an answer; None waits as long as it takes.
    """

    def __init__(self, models: Models, desk: Desk, timeout_seconds: float | None) -> None:
        self._models = models
        self._desk = desk
        self._timeout_seconds = timeout_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        body = await _read_body(receive)
        status, answer = await self._answer(scope["method"], scope["path"], body)
        length = (b"content-length", str(len(answer)).encode())
        await send({"type": "http.response.start", "status": status, "headers": [_HEADERS, length]})
        await send({"type": "http.response.body", "body": answer})

    async def _answer(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        """Status and body; nothing that is thrown gets further."""
        if not path.lower().startswith("/v1/"):
            return 404, write_error("Not Found")
        try:
            return 200, await self._dispatch(method, path, body)
        except StatusError as error:
            return error.http_status, write_error(error.message)
        except Exception as error:
            log.exception("a REST request failed")
            return 500, write_error(f"{type(error).__name__}: {error}")

    async def _dispatch(self, method: str, path: str, body: bytes) -> bytes:
        if method == "POST" and (found := _POST.fullmatch(path)):
            if found["verb"].lower() != "predict":
                raise invalid(f"{found['verb']} is not supported yet by the embedded server")
            address = _address(found)
            return await self._desk.work(
                lambda: self._predict(address, body), len(body), self._timeout_seconds
            )
        if method == "GET" and (found := _GET.fullmatch(path)):
            return self._metadata(found) if found["part"] else self._status(found)
        if method == "GET" and path.lower() == "/v1/models":
            raise invalid("Missing model name in request.")
        raise invalid(f"Malformed request: {method} {path}")

    def _predict(self, address: Address, body: bytes) -> bytes:
        request = parse_body(body)
        servable = self._models.find(address)
        signature = _find_signature(servable, request.signature_name)
        form, inputs = read_inputs(request, signature)
        return write_outputs(predict(servable, signature, inputs), form)

    def _status(self, found: re.Match[str]) -> bytes:
        return _write(model_status(self._models.states(_address(found))))

    def _metadata(self, found: re.Match[str]) -> bytes:
        servable = self._models.find(_address(found))
        spec = {
            "name": servable.name,
            "signature_name": "",
            "version": str(servable.version),  # int64 is text in protobuf's JSON
        }
        signatures = _as_dict(signature_map(servable))
        return _write({"model_spec": spec, "metadata": {SIGNATURE_DEF: signatures}})


async def _read_body(receive: Receive) -> bytes:
    message = await receive()
    body: bytes = message.get("body", b"")
    if not message.get("more_body", False):
        return body
    parts = [body]
    while message.get("more_body", False):
        message = await receive()
        parts.append(message.get("body", b""))
    return b"".join(parts)


def _address(found: re.Match[str]) -> Address:
    version = None if found["version"] is None else int(found["version"])
    if version is not None and version > _MAX_VERSION:
        raise invalid(f"Failed to convert version: {version} to numeric.")
    label = None if found["label"] is None else unquote(found["label"])
    return Address(unquote(found["name"]), version, label)


def _find_signature(servable: Servable, name: str) -> Signature:
    """As ``predict.find_signature``, with the words and code that TF Serving's REST front has."""
    wanted = name or DEFAULT_SIGNATURE
    if wanted not in servable.signatures:
        raise invalid(f'Serving signature name: "{wanted}" not found in signature def')
    return servable.signatures[wanted]


def _as_dict(message: Message) -> dict[str, Any]:
    return MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )


def _write(value: Message | dict[str, Any]) -> bytes:
    document = _as_dict(value) if isinstance(value, Message) else value
    return orjson.dumps(document, option=orjson.OPT_INDENT_2)
