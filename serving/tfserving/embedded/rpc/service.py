"""Services made known to gRPC, so that a message that cannot be read is answered as in C++."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import grpc
from google.protobuf.message import DecodeError, Message


def add_service(
    server: grpc.aio.Server, name: str, servicer: object, requests: Mapping[str, type[Message]]
) -> None:
    """Let a server answer a service's methods.

    grpc's generated functions do the same, but where a message cannot be read Python's server says
    UNKNOWN and writes a stack trace into the log for each; C++'s says INTERNAL and no word
    (``GenericDeserialize`` in ``proto_utils.h``).

    Args:
        server: not started yet.
        name: the service's, with its package.
        servicer: has an asynchronous method of a request and a context for each name.
        requests: the request's message by method.
    """
    handlers = {
        method: grpc.unary_unary_rpc_method_handler(
            _unless_unreadable(getattr(servicer, method)), _reader(kind), _write
        )
        for method, kind in requests.items()
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, handlers),))


def _unless_unreadable(method: Callable[[Any, Any], Awaitable[Any]]) -> Any:
    async def call(request: Any, context: Any) -> Any:
        if request is None:
            await context.abort(grpc.StatusCode.INTERNAL, "")
        return await method(request, context)

    return call


def _reader(kind: type[Message]) -> Callable[[bytes], Message | None]:
    def read(message: bytes) -> Message | None:
        try:
            return kind.FromString(message)
        except DecodeError:
            return None

    return read


def _write(message: Message) -> bytes:
    return message.SerializeToString()
