"""PredictionService and ModelService over gRPC."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import grpc

from serving.tfserving.embedded.listening import read_channel_arguments
from serving.tfserving.embedded.metrics import Metrics
from serving.tfserving.embedded.options.flags import Flags
from serving.tfserving.embedded.requests.inference import Inference, fill_model_spec
from serving.tfserving.embedded.requests.metadata import SIGNATURE_DEF, model_metadata, model_status
from serving.tfserving.embedded.requests.predict import Desk, find_signature, predict
from serving.tfserving.embedded.requests.proto_inputs import read_protos
from serving.tfserving.embedded.rpc.health import add_health_service
from serving.tfserving.embedded.rpc.model_service import reload_config
from serving.tfserving.embedded.rpc.service import add_service
from serving.tfserving.embedded.server_core import ServerCore
from serving.tfserving.embedded.status import StatusError, invalid
from serving.tfserving.embedded.versions.models import Address, Models
from serving.tfserving.messages import (
    ClassificationRequest,
    GetModelMetadataRequest,
    GetModelStatusRequest,
    ModelSpec,
    MultiInferenceRequest,
    PredictRequest,
    PredictResponse,
    RegressionRequest,
    ReloadConfigRequest,
)
from serving.tfserving.tensor_proto import to_proto

log = logging.getLogger(__name__)

PREDICTION, MODEL = "tensorflow.serving.PredictionService", "tensorflow.serving.ModelService"

_PREDICTION_REQUESTS = {
    "Predict": PredictRequest,
    "Classify": ClassificationRequest,
    "Regress": RegressionRequest,
    "MultiInference": MultiInferenceRequest,
    "GetModelMetadata": GetModelMetadataRequest,
}
_MODEL_REQUESTS = {
    "GetModelStatus": GetModelStatusRequest,
    "HandleReloadConfigRequest": ReloadConfigRequest,
}

Work = Callable[[Any], Coroutine[Any, Any, Any]]
"""From a request to the coroutine that answers it."""

_MAX_MESSAGE = 1024
"""TF Serving cuts error messages there: ``ToGRPCStatus`` in ``grpc_status_util.cc``."""

# No limit on messages, as in TF Serving; and a taken port is an error, where gRPC would share it.
_OPTIONS = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.so_reuseport", 0),
)


def make_grpc_server(
    models: Models, desk: Desk, metrics: Metrics, flags: Flags, core: ServerCore
) -> grpc.aio.Server:
    """A server without ports yet.

    Args:
        models: what is served.
        desk: where requests are worked on.
        metrics: counts calls of Predict, Classify and Regress; TF Serving counts no other method.
        flags: the command line.
        core: takes other configurations.
    """
    options = dict((*_OPTIONS, *read_channel_arguments(flags.grpc_channel_arguments)))
    server = grpc.aio.server(options=tuple(options.items()))
    prediction = Prediction(models, desk, metrics, flags)
    add_service(server, PREDICTION, prediction, _PREDICTION_REQUESTS)
    add_service(server, MODEL, ModelState(models, core, metrics), _MODEL_REQUESTS)
    if flags.enable_grpc_healthcheck_service:
        add_health_service(server)
    return server


class Prediction:
    """Predict, Classify, Regress, MultiInference and GetModelMetadata."""

    def __init__(self, models: Models, desk: Desk, metrics: Metrics, flags: Flags) -> None:
        self._models = models
        self._desk = desk
        self._metrics = metrics
        self._as_content = flags.enable_serialization_as_tensor_content
        self._checks_method = flags.enable_signature_method_name_check
        self._inference = Inference(metrics, self._checks_method)

    async def Predict(self, request: Any, context: Any) -> Any:  # noqa: N802
        return await self._counted("Predict", self._predict, request, context)

    async def Classify(self, request: Any, context: Any) -> Any:  # noqa: N802
        return await self._counted("Classify", self._classify, request, context)

    async def Regress(self, request: Any, context: Any) -> Any:  # noqa: N802
        return await self._counted("Regress", self._regress, request, context)

    async def MultiInference(self, request: Any, context: Any) -> Any:  # noqa: N802
        return await _answered(lambda: self._work(self._infer, request), context)

    async def GetModelMetadata(self, request: Any, context: Any) -> Any:  # noqa: N802
        async def answer() -> Any:
            _check_spec(request)
            _check_fields(request.metadata_field)
            with self._models.use(_address(request.model_spec)) as servable:
                return model_metadata(servable)

        return await _answered(answer, context)

    async def _counted(self, api: str, work: Work, request: Any, context: Any) -> Any:
        started = time.perf_counter()

        def count(code: grpc.StatusCode) -> None:
            name = request.model_spec.name
            if code is grpc.StatusCode.OK:
                seconds = time.perf_counter() - started
                self._metrics.request_latency.add((name, api, "GRPC"), seconds)
            self._metrics.request_count.add((name, code.name))

        return await _answered(lambda: self._work(work, request), context, count)

    async def _work(self, work: Work, request: Any) -> Any:
        return await self._desk.work(lambda: work(request), request.ByteSize())

    async def _predict(self, request: Any) -> Any:
        _check_spec(request)
        with self._models.use(_address(request.model_spec)) as servable:
            signature = find_signature(servable, request.model_spec.signature_name)
            if self._checks_method:
                signature.check_method()
            inputs = read_protos(signature, request.inputs)
            signature.check_output_filter(request.output_filter)
            outputs = await predict(
                servable, signature, inputs, self._metrics, request.output_filter
            )
        response = PredictResponse()
        fill_model_spec(response.model_spec, request.model_spec.name, servable, signature)
        for name, array in outputs.items():
            kind = signature.outputs[name].kind
            proto = to_proto(array, self._as_content, kind, strings_too=True)
            response.outputs[name].CopyFrom(proto)
        return response

    async def _classify(self, request: Any) -> Any:
        _check_spec(request)
        with self._models.use(_address(request.model_spec)) as servable:
            return await self._inference.classify(servable, request)

    async def _regress(self, request: Any) -> Any:
        _check_spec(request)
        with self._models.use(_address(request.model_spec)) as servable:
            return await self._inference.regress(servable, request)

    async def _infer(self, request: Any) -> Any:
        spec = request.tasks[0].model_spec if request.tasks else ModelSpec()
        with self._models.use(_address(spec)) as servable:
            return await self._inference.infer(servable, request)


class ModelState:
    """GetModelStatus and HandleReloadConfigRequest."""

    def __init__(self, models: Models, core: ServerCore, metrics: Metrics) -> None:
        self._models = models
        self._core = core
        self._metrics = metrics

    async def HandleReloadConfigRequest(self, request: Any, context: Any) -> Any:  # noqa: N802
        return await _answered(lambda: reload_config(self._core, self._metrics, request), context)

    async def GetModelStatus(self, request: Any, context: Any) -> Any:  # noqa: N802
        async def answer() -> Any:
            _check_spec(request)
            return model_status(self._models.states(_address(request.model_spec)))

        return await _answered(answer, context)


async def _answered(
    answer: Callable[[], Awaitable[Any]],
    context: Any,
    count: Callable[[grpc.StatusCode], None] = lambda _: None,
) -> Any:
    """The answer, or the call's end with a status; nothing that is thrown gets further.

    Args:
        answer: does the work.
        context: the call.
        count: told how it ended.
    """
    try:
        found = await answer()
    except StatusError as error:
        failure = error
    except Exception as error:
        log.exception("a gRPC request failed")
        failure = StatusError(grpc.StatusCode.INTERNAL, f"{type(error).__name__}: {error}")
    else:
        count(grpc.StatusCode.OK)
        return found
    count(failure.code)
    return await context.abort(failure.code, _cut(failure.message))


def _check_spec(request: Any) -> None:
    if not request.HasField("model_spec"):
        raise invalid("Missing ModelSpec")


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


def _cut(message: str) -> str:
    return message if len(message) <= _MAX_MESSAGE else message[:_MAX_MESSAGE] + "...TRUNCATED"
