"""TF Serving's API as Predictors, over REST and over gRPC. No TensorFlow in the client's process.

Both clients are safe to use from several threads and keep their connection open.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import grpc
import httpx
import numpy as np
from google.protobuf.json_format import ParseDict, ParseError

from models.contract import Contract, Tensors
from models.errors import NameMismatch, ServerFault, ShapeMismatch
from models.predictor import UNSTATED, Closing, Signature, StatedTensor
from serving.tfserving.messages import (
    GetModelMetadataRequest,
    PredictionServiceStub,
    PredictRequest,
    SignatureDefMap,
)
from serving.tfserving.tensor_proto import BY_NUMBER, STRING, from_proto, to_proto
from serving.wire.failures import grpc_failure, http_failure, transport_failure
from serving.wire.rows import decode_json, decode_rows, encode_rows

TIMEOUT_SECONDS = 30.0
SIGNATURE = "serving_default"
SIGNATURE_DEF = "signature_def"

# Messages of any size, as TF Serving allows; a connection of its own per client, so that sixteen
# clients are sixteen connections; and never through a proxy, which loopback does not need.
_CHANNEL_OPTIONS = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_http_proxy", 0),
)


class RestClient(Closing):
    """Row-form JSON over HTTP.

    Args:
        base_url: ``http://host:port``.
        model_name: the name under which the model is served.
        contract: dtypes and names of the outputs, which JSON does not carry.
        timeout_seconds: longest wait for an answer.
        transport: instead of the network, for tests.
    """

    def __init__(
        self,
        base_url: str,
        model_name: str,
        contract: Contract,
        timeout_seconds: float = TIMEOUT_SECONDS,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._model_name = model_name
        self._contract = contract
        self._http = httpx.Client(
            base_url=base_url, timeout=timeout_seconds, transport=transport, trust_env=False
        )

    def signature(self) -> Signature:
        """What the metadata endpoint says of ``serving_default``."""
        answer = self._ask("GET", f"{_path(self._model_name)}/metadata")
        return _signature_in(_read_signatures(answer.content))

    def predict(self, inputs: Tensors) -> dict[str, np.ndarray]:
        """Answer a batch; see :class:`models.predictor.Predictor`."""
        path = f"{_path(self._model_name)}:predict"
        return decode_rows(self._ask("POST", path, encode_rows(inputs)).content, self._contract)

    def post_raw(self, body: bytes, model_name: str | None = None) -> tuple[int, str]:
        """Send any body to ``:predict``, well-formed or not.

        Returns:
            HTTP status and the answer's text.

        Raises:
            Unreachable: no answer.
        """
        answer = self._send("POST", f"{_path(model_name or self._model_name)}:predict", body)
        return answer.status_code, answer.text

    def close(self) -> None:
        self._http.close()

    def _ask(self, method: str, path: str, body: bytes | None = None) -> httpx.Response:
        answer = self._send(method, path, body)
        if answer.is_error:
            raise http_failure(answer.status_code, answer.text)
        return answer

    def _send(self, method: str, path: str, body: bytes | None) -> httpx.Response:
        headers = {"Content-Type": "application/json"} if body is not None else None
        try:
            return self._http.request(method, path, content=body, headers=headers)
        except httpx.TransportError as error:
            raise transport_failure(error, f"{self._http.base_url}{path}") from error


class GrpcClient(Closing):
    """TensorProto over gRPC.

    Args:
        address: ``host:port``.
        model_name: the name under which the model is served.
        contract: kept for symmetry with :class:`RestClient`; gRPC carries names and dtypes itself.
        timeout_seconds: longest wait for an answer.
    """

    def __init__(
        self,
        address: str,
        model_name: str,
        contract: Contract,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        self._model_name = model_name
        self._contract = contract
        self._timeout_seconds = timeout_seconds
        self._channel = grpc.insecure_channel(address, options=_CHANNEL_OPTIONS)
        self._stub = PredictionServiceStub(self._channel)

    def signature(self) -> Signature:
        """What GetModelMetadata says of ``serving_default``."""
        request = GetModelMetadataRequest(metadata_field=[SIGNATURE_DEF])
        request.model_spec.name = self._model_name
        answer = self._call(self._stub.GetModelMetadata, request)
        signatures = SignatureDefMap()
        answer.metadata[SIGNATURE_DEF].Unpack(signatures)
        return _signature_in(signatures)

    def predict(self, inputs: Tensors) -> dict[str, np.ndarray]:
        """Answer a batch; see :class:`models.predictor.Predictor`."""
        return self.predict_raw(inputs)

    def predict_raw(
        self, tensors: Mapping[str, np.ndarray], model_name: str | None = None
    ) -> dict[str, np.ndarray]:
        """Send tensors of any name, dtype and shape; text becomes DT_STRING.

        Raises:
            RequestError: the server refused them, or gave no answer.
        """
        request = PredictRequest()
        request.model_spec.name = model_name or self._model_name
        for name, array in tensors.items():
            request.inputs[name].CopyFrom(to_proto(np.asarray(array)))
        answer = self._call(self._stub.Predict, request)
        return {name: _read_output(name, proto) for name, proto in answer.outputs.items()}

    def close(self) -> None:
        self._channel.close()

    def _call(self, method: Any, request: Any) -> Any:
        try:
            return method(request, timeout=self._timeout_seconds)
        except grpc.RpcError as error:
            raise grpc_failure(error) from error


def _path(model_name: str) -> str:
    return f"/v1/models/{quote(model_name, safe='')}"


def _read_output(name: str, proto: Any) -> np.ndarray:
    try:
        return from_proto(proto)
    except ValueError as error:
        raise ShapeMismatch(f"{name} cannot be read: {error}.") from error


def _read_signatures(body: bytes) -> Any:
    try:
        return ParseDict(
            decode_json(body)["metadata"][SIGNATURE_DEF],
            SignatureDefMap(),
            ignore_unknown_fields=True,
        )
    except (ValueError, KeyError, TypeError, ParseError) as error:
        raise ServerFault(f"The metadata cannot be read: {body[:200]!r}") from error


def _signature_in(signatures: Any) -> Signature:
    if SIGNATURE not in signatures.signature_def:
        raise NameMismatch(
            f"The model has no signature {SIGNATURE!r}, only {sorted(signatures.signature_def)}."
        )
    definition = signatures.signature_def[SIGNATURE]
    return Signature(_stated(definition.inputs), _stated(definition.outputs))


def _stated(tensors: Any) -> tuple[StatedTensor, ...]:
    return tuple(_state(name, tensors[name]) for name in sorted(tensors))


def _state(name: str, info: Any) -> StatedTensor:
    kind = BY_NUMBER.get(info.dtype)
    dtype = UNSTATED if kind is None else "str" if kind is STRING else kind.dtype.name
    shape = info.tensor_shape
    sizes = None if shape.unknown_rank else tuple(each.size for each in shape.dim[1:])
    return StatedTensor(name, dtype, sizes)
