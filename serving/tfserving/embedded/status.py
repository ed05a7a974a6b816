"""Errors as TF Serving gives them: a gRPC status code and a message, or its HTTP counterpart."""

from __future__ import annotations

from grpc import StatusCode

HTTP_STATUS = {
    StatusCode.OK: 200,
    StatusCode.CANCELLED: 499,
    StatusCode.INVALID_ARGUMENT: 400,
    StatusCode.DEADLINE_EXCEEDED: 504,
    StatusCode.NOT_FOUND: 404,
    StatusCode.ALREADY_EXISTS: 409,
    StatusCode.PERMISSION_DENIED: 403,
    StatusCode.RESOURCE_EXHAUSTED: 429,
    StatusCode.FAILED_PRECONDITION: 400,
    StatusCode.ABORTED: 409,
    StatusCode.OUT_OF_RANGE: 400,
    StatusCode.UNIMPLEMENTED: 501,
    StatusCode.UNAVAILABLE: 503,
    StatusCode.UNAUTHENTICATED: 401,
}
"""``ToHTTPStatusCode`` in TF Serving's ``model_servers/http_server.cc``; the others are 500."""

_BY_NUMBER: dict[int, StatusCode] = {code.value[0]: code for code in StatusCode}


class StatusError(Exception):
    """What TF Serving would answer; stays within the server.

    Attributes:
        code: gRPC's status code.
        message: one sentence that names the problem.
    """

    def __init__(self, code: StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return f"{self.code.name}: {self.message}"

    @classmethod
    def numbered(cls, number: int, message: str) -> StatusError:
        """From TensorFlow's error number, which is gRPC's."""
        return cls(_BY_NUMBER.get(number, StatusCode.UNKNOWN), message)


def http_status(code: StatusCode) -> int:
    """The HTTP status that stands for a gRPC code."""
    return HTTP_STATUS.get(code, 500)


def invalid(message: str) -> StatusError:
    """The request cannot be understood, or does not fit the model."""
    return StatusError(StatusCode.INVALID_ARGUMENT, message)


def not_found(message: str) -> StatusError:
    return StatusError(StatusCode.NOT_FOUND, message)
