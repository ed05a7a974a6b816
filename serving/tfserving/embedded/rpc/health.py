"""gRPC's standard health service, for ``--enable_grpc_healthcheck_service``.

It says what the service in gRPC's C++ library says (``default_health_check_service.cc``), with the
two names that TF Serving's ``server.cc`` sets. The interface is
https://github.com/grpc/grpc/blob/master/doc/health-checking.md; ``grpcio-health-checking`` is not
needed for two messages of one field.
"""

from __future__ import annotations

from typing import Any

import grpc

from serving.tfserving.embedded.desk import Done
from serving.tfserving.embedded.options.config_files import make_message
from serving.tfserving.embedded.rpc.call import Method
from serving.tfserving.embedded.status import StatusError, invalid, not_found

SERVICE = "grpc.health.v1.Health"
SERVING, SERVICE_UNKNOWN = 1, 3
"""Of the enum ``ServingStatus``, which is an int64 on the wire."""

HealthCheckRequest = type(make_message("HealthCheckRequest", [("service", 1, "string")]))
HealthCheckResponse = type(make_message("HealthCheckResponse", [("status", 1, "int64")]))

_SERVED = {"", "ModelService", "PredictionService"}
_UNREADABLE = "could not parse request"


def health_methods() -> dict[str, Method]:
    """Check and Watch: the server serves as long as it answers at all."""
    unwatchable = StatusError(grpc.StatusCode.INTERNAL, _UNREADABLE)
    return {
        "Check": Method(HealthCheckRequest, _check, unreadable=invalid(_UNREADABLE)),
        "Watch": Method(HealthCheckRequest, _watch, unreadable=unwatchable, stays_open=True),
    }


def _check(request: Any, _size: int) -> Done:
    if request.service not in _SERVED:
        raise not_found("service name unknown")
    return Done(HealthCheckResponse(status=SERVING))


def _watch(request: Any, _size: int) -> Done:
    """What there is never changes, so one message is sent and the call stays open."""
    is_served = request.service in _SERVED
    return Done(HealthCheckResponse(status=SERVING if is_served else SERVICE_UNKNOWN))
