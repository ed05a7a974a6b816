"""PredictionService and ModelService over gRPC."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import grpc

from serving.tfserving.embedded.desk import Done
from serving.tfserving.embedded.listening import read_channel_arguments
from serving.tfserving.embedded.metrics import Metrics
from serving.tfserving.embedded.options.flags import Flags
from serving.tfserving.embedded.requests.inference import Inference, fill_model_spec
from serving.tfserving.embedded.requests.metadata import SIGNATURE_DEF, model_metadata, model_status
from serving.tfserving.embedded.requests.predict import Desk, find_signature, predict
from serving.tfserving.embedded.requests.proto_inputs import read_protos
from serving.tfserving.embedded.rpc.call import Begin, Count, Method
from serving.tfserving.embedded.rpc.health import SERVICE, health_methods
from serving.tfserving.embedded.rpc.model_service import reload_config
from serving.tfserving.embedded.rpc.server import GrpcServer
from serving.tfserving.embedded.server_core import ServerCore
from serving.tfserving.embedded.status import invalid
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

PREDICTION, MODEL = "tensorflow.serving.PredictionService", "tensorflow.serving.ModelService"

Work = Callable[[Any], Coroutine[Any, Any, Any]]
"""From a request to the coroutine that answers it."""

# No limit on messages, as in TF Serving; and a taken port is an error, where gRPC would share it.
_OPTIONS = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.so_reuseport", 0),
)


def make_grpc_server(
    models: Models, desk: Desk, metrics: Metrics, flags: Flags, core: ServerCore
) -> GrpcServer:
    """A server without ports yet.

    Args:
        models: what is served.
        desk: where requests are worked on.
        metrics: counts calls of Predict, Classify and Regress; TF Serving counts no other method.
        flags: the command line.
        core: takes other configurations.
    """
    options = dict((*_OPTIONS, *read_channel_arguments(flags.grpc_channel_arguments)))
    server = GrpcServer(tuple(options.items()))
    server.add_service(PREDICTION, Prediction(models, desk, metrics, flags).methods())
    server.add_service(MODEL, ModelState(models, core, metrics).methods())
    if flags.enable_grpc_healthcheck_service:
        server.add_service(SERVICE, health_methods())
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

    def methods(self) -> dict[str, Method]:
        """By name."""
        return {
            "Predict": Method(PredictRequest, self._at_desk(self._predict), self._count("Predict")),
            "Classify": Method(
                ClassificationRequest, self._at_desk(self._classify), self._count("Classify")
            ),
            "Regress": Method(
                RegressionRequest, self._at_desk(self._regress), self._count("Regress")
            ),
            "MultiInference": Method(MultiInferenceRequest, self._at_desk(self._infer)),
            "GetModelMetadata": Method(GetModelMetadataRequest, self._describe),
        }

    def _at_desk(self, work: Work) -> Begin:
        return lambda request, size: self._desk.begin(partial(work, request), size)

    def _count(self, api: str) -> Count:
        def count(request: Any, code: grpc.StatusCode, seconds: float) -> None:
            name = request.model_spec.name
            if code is grpc.StatusCode.OK:
                self._metrics.request_latency.add((name, api, "GRPC"), seconds)
            self._metrics.request_count.add((name, code.name))

        return count

    def _describe(self, request: Any, _size: int) -> Done:
        _check_spec(request)
        _check_fields(request.metadata_field)
        with self._models.use(_address(request.model_spec)) as servable:
            return Done(model_metadata(servable))

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

    def methods(self) -> dict[str, Method]:
        """By name."""
        return {
            "GetModelStatus": Method(GetModelStatusRequest, self._states),
            "HandleReloadConfigRequest": Method(ReloadConfigRequest, self._reload),
        }

    async def _reload(self, request: Any, _size: int) -> Done:
        return Done(await reload_config(self._core, self._metrics, request))

    def _states(self, request: Any, _size: int) -> Done:
        _check_spec(request)
        return Done(model_status(self._models.states(_address(request.model_spec))))


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
