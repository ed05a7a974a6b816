"""PredictionService and ModelService over gRPC."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import grpc

from serving.tfserving.embedded.metadata import SIGNATURE_DEF, model_metadata, model_status
from serving.tfserving.embedded.models import Address, Models
from serving.tfserving.embedded.predict import Desk, find_signature, predict
from serving.tfserving.embedded.status import StatusError, invalid
from serving.tfserving.messages import (
    ModelServiceServicer,
    PredictionServiceServicer,
    PredictResponse,
    add_ModelServiceServicer_to_server,
    add_PredictionServiceServicer_to_server,
)
from serving.tfserving.tensor_proto import from_proto, to_proto

log = logging.getLogger(__name__)

_MAX_MESSAGE = 1024
"""TF Serving cuts error messages there: ``ToGRPCStatus`` in ``grpc_status_util.cc``."""

# No limit on messages, as in TF Serving; and a taken port is an error, where gRPC would share it.
_OPTIONS = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.so_reuseport", 0),
)


def make_grpc_server(models: Models, desk: Desk, as_content: bool) -> grpc.aio.Server:
    """A server without ports yet.

    Args:
        models: what is served.
        desk: where requests are worked on.
        as_content: answer in ``tensor_content`` instead of the value fields.
    """
    server = grpc.aio.server(options=_OPTIONS)
    add_PredictionServiceServicer_to_server(Prediction(models, desk, as_content), server)
    add_ModelServiceServicer_to_server(ModelState(models), server)
    return server


class Prediction(PredictionServiceServicer):  # type: ignore[misc]
    """Predict and GetModelMetadata; what is not here answers UNIMPLEMENTED."""

    def __init__(self, models: Models, desk: Desk, as_content: bool) -> None:
        self._models = models
        self._desk = desk
        self._as_content = as_content

    async def Predict(self, request: Any, context: Any) -> Any:  # noqa: N802
        async def answer() -> Any:
            return await self._desk.work(lambda: self._predict(request), request.ByteSize())

        return await _answered(answer, context)

    async def GetModelMetadata(self, request: Any, context: Any) -> Any:  # noqa: N802
        async def answer() -> Any:
            if not request.HasField("model_spec"):
                raise invalid("Missing ModelSpec")
            _check_fields(request.metadata_field)
            return model_metadata(self._models.find(_address(request.model_spec)))

        return await _answered(answer, context)

    def _predict(self, request: Any) -> Any:
        servable = self._models.find(_address(request.model_spec))
        signature = find_signature(servable, request.model_spec.signature_name)
        inputs = {name: _read(name, proto) for name, proto in request.inputs.items()}
        outputs = predict(servable, signature, inputs, request.output_filter)
        response = PredictResponse()
        response.model_spec.name = servable.name
        response.model_spec.version.value = servable.version
        response.model_spec.signature_name = signature.name
        for name, array in outputs.items():
            response.outputs[name].CopyFrom(to_proto(array, self._as_content))
        return response


class ModelState(ModelServiceServicer):  # type: ignore[misc]
    """GetModelStatus."""

    def __init__(self, models: Models) -> None:
        self._models = models

    async def GetModelStatus(self, request: Any, context: Any) -> Any:  # noqa: N802
        async def answer() -> Any:
            if not request.HasField("model_spec"):
                raise invalid("Missing ModelSpec")
            return model_status(self._models.states(_address(request.model_spec)))

        return await _answered(answer, context)


async def _answered(answer: Callable[[], Awaitable[Any]], context: Any) -> Any:
    """The answer, or the call's end with a status; nothing that is thrown gets further."""
    try:
        return await answer()
    except StatusError as error:
        await context.abort(error.code, _cut(error.message))
    except Exception as error:
        log.exception("a gRPC request failed")
        await context.abort(grpc.StatusCode.INTERNAL, _cut(f"{type(error).__name__}: {error}"))


def _address(spec: Any) -> Address:
    choice = spec.WhichOneof("version_choice")
    return Address(
        spec.name,
        spec.version.value if choice == "version" else None,
        spec.version_label if choice == "version_label" else None,
    )


def _check_fields(fields: Any) -> None:
    if not fields:
        raise invalid("GetModelMetadataRequest must specify at least one metadata_field")
    for field in fields:
        if field != SIGNATURE_DEF:
            raise invalid(f"Metadata field {field} is not supported")


def _read(name: str, proto: Any) -> Any:
    try:
        return from_proto(proto)
    except ValueError as error:
        raise invalid(f"tensor parsing error: {name}: {error}") from error


def _cut(message: str) -> str:
    return message if len(message) <= _MAX_MESSAGE else message[:_MAX_MESSAGE] + "...TRUNCATED"
