"""TF Serving's API as Predictors, over REST and over gRPC. No TensorFlow in the client's process.

Both clients are safe to use from several threads and keep their connection open.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import grpc
import httpx
import numpy as np
from google.protobuf.json_format import MessageToJson
from google.protobuf.message import DecodeError

from models.contract import Contract, Tensors
from models.errors import ServerFault, ShapeMismatch
from models.predictor import Closing, Signature
from serving.tfserving.messages import (
    GetModelMetadataRequest,
    PredictionServiceStub,
    PredictRequest,
    PredictResponse,
)
from serving.tfserving.metadata import SIGNATURE_DEF, signature_in_json, signature_in_message
from serving.tfserving.tensor_proto import from_proto, to_proto
from serving.wire.call import WireCall
from serving.wire.failures import grpc_failure, http_failure, transport_failure
from serving.wire.rows import decode_rows, encode_rows

TIMEOUT_SECONDS = 30.0

PREDICT = "tensorflow.serving.PredictionService/Predict"

# Messages of any size, as TF Serving allows; a connection of its own per client, so that sixteen
# clients are sixteen connections; and never through a proxy, which loopback does not need.
_CHANNEL_OPTIONS = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_http_proxy", 0),
)
_JSON = ("Content-Type", "application/json")


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
        self._base_url = base_url
        self._model_name = model_name
        self._contract = contract
        self._http = httpx.Client(timeout=timeout_seconds, transport=transport, trust_env=False)

    def signature(self) -> Signature:
        """What the metadata endpoint says of ``serving_default``."""
        return signature_in_json(self._ask("GET", f"{self._url()}/metadata"))

    def predict(self, inputs: Tensors) -> dict[str, np.ndarray]:
        """Answer a batch; see :class:`models.predictor.Predictor`."""
        return self.read_answer(self._ask("POST", self._predict_url(), encode_rows(inputs)))

    def post_raw(self, body: bytes, model_name: str | None = None) -> tuple[int, str]:
        """Send any body to ``:predict``, well-formed or not.

        Returns:
            HTTP status and the answer's text.

        Raises:
            Unreachable: no answer.
        """
        answer = self._send("POST", self._predict_url(model_name), body)
        return answer.status_code, answer.text

    def call_for(self, inputs: Tensors) -> WireCall:
        """The request for these inputs, ready to be sent again and again."""
        return WireCall("REST", self._predict_url(), "", (_JSON,), encode_rows(inputs))

    def read_answer(self, body: bytes) -> dict[str, np.ndarray]:
        """The outputs in a successful answer's body; see :func:`serving.wire.rows.decode_rows`."""
        return decode_rows(body, self._contract)

    def paste_line(self, inputs: Tensors, sample: Path) -> str:
        """A ``curl`` command that sends these inputs; they are written to ``sample``."""
        sample.write_bytes(encode_rows(inputs))
        header = ": ".join(_JSON)
        return shlex.join(["curl", "-sS", "-H", header, "-d", f"@{sample}", self._predict_url()])

    def close(self) -> None:
        self._http.close()

    def _url(self, model_name: str | None = None) -> str:
        return f"{self._base_url}/v1/models/{quote(model_name or self._model_name, safe='')}"

    def _predict_url(self, model_name: str | None = None) -> str:
        return f"{self._url(model_name)}:predict"

    def _ask(self, method: str, url: str, body: bytes | None = None) -> bytes:
        answer = self._send(method, url, body)
        if not answer.is_success:
            raise http_failure(answer.status_code, answer.text)
        return answer.content

    def _send(self, method: str, url: str, body: bytes | None) -> httpx.Response:
        headers = None if body is None else dict([_JSON])
        try:
            return self._http.request(method, url, content=body, headers=headers)
        except httpx.TransportError as error:
            raise transport_failure(error, url) from error


class GrpcClient(Closing):
    """TensorProto over gRPC.

    Args:
        address: ``host:port``.
        model_name: the name under which the model is served.
        contract: as for :class:`RestClient`; gRPC itself carries names and dtypes.
        timeout_seconds: longest wait for an answer.
    """

    def __init__(
        self,
        address: str,
        model_name: str,
        contract: Contract,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        self._address = address
        self._model_name = model_name
        self._contract = contract
        self._timeout_seconds = timeout_seconds
        self._channel = grpc.insecure_channel(address, options=_CHANNEL_OPTIONS)
        self._stub = PredictionServiceStub(self._channel)

    def signature(self) -> Signature:
        """What GetModelMetadata says of ``serving_default``."""
        request = GetModelMetadataRequest(metadata_field=[SIGNATURE_DEF])
        request.model_spec.name = self._model_name
        return signature_in_message(self._call(self._stub.GetModelMetadata, request))

    def predict(self, inputs: Tensors) -> dict[str, np.ndarray]:
        """Answer a batch; see :class:`models.predictor.Predictor`."""
        return self.predict_raw(inputs)

    def predict_with_version(self, inputs: Tensors) -> tuple[dict[str, np.ndarray], int]:
        """An answer, and the version of the model that gave it: the answer states it.

        Raises:
            RequestError: the server refused the inputs, or gave no answer.
        """
        response = self._call(self._stub.Predict, _request(self._model_name, inputs))
        return _outputs_in(response), int(response.model_spec.version.value)

    def predict_raw(
        self, tensors: Mapping[str, np.ndarray], model_name: str | None = None
    ) -> dict[str, np.ndarray]:
        """Send tensors of any name, dtype and shape; text becomes DT_STRING.

        Raises:
            RequestError: the server refused them, or gave no answer.
        """
        request = _request(model_name or self._model_name, tensors)
        return _outputs_in(self._call(self._stub.Predict, request))

    def send_truncated(self, inputs: Tensors) -> None:
        """Send tensors whose last bytes are missing, which is to gRPC what broken JSON is to REST.

        Raises:
            RequestError: the server refused them, or gave no answer.
        """
        request = _request(self._model_name, inputs)
        for tensor in request.inputs.values():
            tensor.tensor_content = tensor.tensor_content[:-1]
        self._call(self._stub.Predict, request)

    def call_for(self, inputs: Tensors) -> WireCall:
        """The request for these inputs, ready to be sent again and again."""
        body = _request(self._model_name, inputs).SerializeToString()
        return WireCall("gRPC", self._address, f"/{PREDICT}", (), body)

    def read_answer(self, body: bytes) -> dict[str, np.ndarray]:
        """The outputs in a serialised PredictResponse.

        Raises:
            ServerFault: it is none.
        """
        try:
            return _outputs_in(PredictResponse.FromString(body))
        except DecodeError as error:
            raise ServerFault(f"The answer is no PredictResponse: {body[:100]!r}") from error

    def paste_line(self, inputs: Tensors, sample: Path) -> str:
        """A ``grpcurl`` command that sends these inputs; they are written to ``sample``.

        TF Serving has no reflection, so the interface is read from a file of ours.
        """
        request = _request(self._model_name, inputs, as_content=False)
        sample.write_text(MessageToJson(request, indent=None))
        folder = str(Path(__file__).parent)
        words = ["grpcurl", "-plaintext", "-import-path", folder, "-proto", "prediction.proto"]
        words += ["-d", "@", self._address, PREDICT]
        return f"{shlex.join(words)} < {shlex.quote(str(sample))}"

    def close(self) -> None:
        self._channel.close()

    def _call(self, method: Any, request: Any) -> Any:
        try:
            return method(request, timeout=self._timeout_seconds)
        except grpc.RpcError as error:
            raise grpc_failure(error) from error


def _request(model_name: str, tensors: Mapping[str, np.ndarray], as_content: bool = True) -> Any:
    request = PredictRequest()
    request.model_spec.name = model_name
    for name, array in tensors.items():
        request.inputs[name].CopyFrom(to_proto(np.asarray(array), as_content))
    return request


def _outputs_in(response: Any) -> dict[str, np.ndarray]:
    return {name: _read_output(name, proto) for name, proto in response.outputs.items()}


def _read_output(name: str, proto: Any) -> np.ndarray:
    try:
        return from_proto(proto)
    except ValueError as error:
        raise ShapeMismatch(f"{name} cannot be read: {error}.") from error
