"""gRPC's standard health service, for ``--enable_grpc_healthcheck_service``.

It says what the service in gRPC's C++ library says (``default_health_check_service.cc``), with the
two names that TF Serving's ``server.cc`` sets. The interface is
https://github.com/grpc/grpc/blob/master/doc/health-checking.md; ``grpcio-health-checking`` is not
needed for two messages of one field.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from serving.tfserving.embedded.options.config_files import make_message

SERVICE = "grpc.health.v1.Health"
SERVING, SERVICE_UNKNOWN = 1, 3
"""Of the enum ``ServingStatus``, which is an int64 on the wire."""

HealthCheckRequest = type(make_message("HealthCheckRequest", [("service", 1, "string")]))
HealthCheckResponse = type(make_message("HealthCheckResponse", [("status", 1, "int64")]))

_SERVED = {"", "ModelService", "PredictionService"}
_UNREADABLE = "could not parse request"


def add_health_service(server: grpc.aio.Server) -> None:
    """Let a server answer Check and Watch: it serves as long as it answers at all."""
    codec = (_read, HealthCheckResponse.SerializeToString)
    handlers = {
        "Check": grpc.unary_unary_rpc_method_handler(_check, *codec),
        "Watch": grpc.unary_stream_rpc_method_handler(_watch, *codec),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))


def _read(message: bytes) -> Any:
    """None for what is no message; else grpc would write a stack trace into the log for each."""
    try:
        return HealthCheckRequest.FromString(message)
    except DecodeError:
        return None


async def _check(request: Any, context: Any) -> Any:
    if request is None:
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, _UNREADABLE)
    if request.service not in _SERVED:
        await context.abort(grpc.StatusCode.NOT_FOUND, "service name unknown")
    return HealthCheckResponse(status=SERVING)


async def _watch(request: Any, context: Any) -> AsyncIterator[Any]:
    """What there is never changes, so one message is sent and the stream stays open."""
    if request is None:
        await context.abort(grpc.StatusCode.INTERNAL, _UNREADABLE)
    is_served = request.service in _SERVED
    yield HealthCheckResponse(status=SERVING if is_served else SERVICE_UNKNOWN)
    await asyncio.get_running_loop().create_future()
