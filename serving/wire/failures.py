"""What a server or the line answered instead of a prediction, as our RequestErrors."""

from __future__ import annotations

import json

import grpc
import httpx

from models.errors import BadRequest, RequestError, ServerFault, Unreachable

_CLIENTS_FAULT = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.ALREADY_EXISTS,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.OUT_OF_RANGE,
    grpc.StatusCode.UNIMPLEMENTED,
    grpc.StatusCode.UNAUTHENTICATED,
}
_NO_ANSWER = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}


def http_failure(status: int, body: str) -> RequestError:
    """The error for an HTTP status of 400 and more, in the server's own words.

    Args:
        status: HTTP status code.
        body: the answer; the text under ``error`` or ``message`` where it is a JSON object.
    """
    kind = BadRequest if status < 500 else ServerFault
    return kind(_words(body) or f"HTTP {status} without a message", str(status))


def grpc_failure(error: grpc.RpcError) -> RequestError:
    """The error for a failed call, in the server's own words."""
    code = error.code() if isinstance(error, grpc.Call) else grpc.StatusCode.UNKNOWN
    words = (error.details() if isinstance(error, grpc.Call) else str(error)) or code.name
    if code in _NO_ANSWER:
        return Unreachable(words, code.name)
    return (BadRequest if code in _CLIENTS_FAULT else ServerFault)(words, code.name)


def transport_failure(error: httpx.TransportError, url: str) -> Unreachable:
    """The error for a request that got no HTTP answer."""
    return Unreachable(f"{url} gave no answer: {str(error) or type(error).__name__}")


def _words(body: str) -> str:
    try:
        document = json.loads(body)
    except ValueError:
        return body.strip()
    if not isinstance(document, dict):
        return body.strip()
    return str(document.get("error") or document.get("message") or body.strip())
