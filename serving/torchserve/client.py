"""TorchServe over REST and over gRPC, as Predictors."""

from __future__ import annotations

import base64
import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as load_safetensors
from safetensors.numpy import save as save_safetensors

from models.contract import Contract, Tensors
from models.errors import RequestError, ServerFault, Unreachable
from models.predictor import Closing, Signature, StatedTensor
from serving.torchserve.inference_pb2 import PredictionResponse, PredictionsRequest
from serving.torchserve.inference_pb2_grpc import InferenceAPIsServiceStub
from serving.torchserve.tokens import Tokens
from serving.wire.call import WireCall
from serving.wire.failures import grpc_failure, http_failure, transport_failure
from serving.wire.rows import decode_rows, encode_rows
from serving.wire.text import without_text

TIMEOUT_SECONDS = 30.0
METHOD = "/org.pytorch.serve.grpc.inference.InferenceAPIsService/Predictions"
TORCHSERVES_OWN = "org.pytorch.serve."
"""In every error that TorchServe itself reports: it appends the name of its Java exception."""
KEY_REFUSED = "Token Authorization failed"
"""In TorchServe's answer to a wrong key: one that ran out, or one from before it was started again.
Over gRPC it leaves out the exception's name, InvalidKeyException."""
ANY_SIZE = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1))


class RestClient(Closing):
    """``POST /predictions/<model>`` with JSON rows, over kept connections. For many threads.

    Args:
        base_url: ``http://host:port`` of the inference API.
        management_url: ``http://host:port`` of the management API, which describes the model.
        model_name: the model's name on the server.
        contract: the model's inputs and outputs.
        tokens: the server's keys.
        timeout_seconds: for connecting, and for each read or write.
        transport: replaces the network, for tests.
    """

    def __init__(
        self,
        base_url: str,
        management_url: str,
        model_name: str,
        contract: Contract,
        tokens: Tokens,
        *,
        timeout_seconds: float = TIMEOUT_SECONDS,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._base_url = base_url
        self._management_url = management_url
        self._model_name = model_name
        self._contract = contract
        self._tokens = tokens
        # The server is on this machine: proxies named in the environment are not for it.
        self._http = httpx.Client(timeout=timeout_seconds, transport=transport, trust_env=False)

    def signature(self) -> Signature:
        """What our handler says of the model that it has loaded and tried."""
        return describe(self._http, self._management_url, self._model_name, self._tokens)

    def predict(self, inputs: Tensors) -> dict[str, np.ndarray]:
        answer = self._post(encode_rows(inputs), self._model_name)
        if answer.is_error:
            raise http_failure(answer.status_code, answer.text)
        return decode_rows(answer.content, self._contract)

    def call_for(self, inputs: Tensors) -> WireCall:
        """The request that ``predict`` would send, as bytes; its token lasts up to an hour."""
        headers = {**self._tokens.headers("inference"), "Content-Type": "application/json"}
        return WireCall("REST", self._url(), "", tuple(headers.items()), encode_rows(inputs))

    def read_answer(self, body: bytes) -> dict[str, np.ndarray]:
        """The outputs in an answer's bytes."""
        return decode_rows(body, self._contract)

    def post_raw(self, body: bytes, model_name: str | None = None) -> tuple[int, str]:
        """Send any body, well-formed or not.

        Returns:
            HTTP status and the server's own words.

        Raises:
            Unreachable: no answer within the deadline.
        """
        answer = self._post(body, model_name or self._model_name)
        return answer.status_code, answer.text

    def paste_line(self, inputs: Tensors, sample: Path) -> str:
        """A ``curl`` command that sends these inputs; they are written to ``sample``.

        It names the token's file, not the token.
        """
        sample.write_bytes(encode_rows(inputs))
        header = self._tokens.header_file("inference")
        words = ["curl", "-sS", "-H", f"@{header}", "-H", "Content-Type: application/json"]
        return shlex.join([*words, "-d", f"@{sample}", self._url()])

    def close(self) -> None:
        self._http.close()

    def _url(self, model_name: str | None = None) -> str:
        return f"{self._base_url}/predictions/{model_name or self._model_name}"

    def _post(self, body: bytes, model_name: str) -> httpx.Response:
        answer = self._post_once(body, model_name)
        if answer.is_error and KEY_REFUSED in answer.text:
            refused = answer.request.headers["Authorization"].removeprefix("Bearer ")
            if self._tokens.changed("inference", refused):
                answer = self._post_once(body, model_name)
        return answer

    def _post_once(self, body: bytes, model_name: str) -> httpx.Response:
        headers = {**self._tokens.headers("inference"), "Content-Type": "application/json"}
        url = self._url(model_name)
        try:
            return self._http.post(url, content=body, headers=headers)
        except httpx.TransportError as error:
            raise transport_failure(error, url) from error


class GrpcClient(Closing):
    """``InferenceAPIsService/Predictions`` with safetensors, over one channel. For many threads.

    Args:
        address: ``host:port`` of the inference gRPC interface.
        management_url: ``http://host:port`` of the management API. TorchServe describes models over
            gRPC too, on another port, with the same words.
        model_name: the model's name on the server.
        contract: the model's inputs and outputs.
        tokens: the server's keys.
        timeout_seconds: for a whole call.
    """

    def __init__(
        self,
        address: str,
        management_url: str,
        model_name: str,
        contract: Contract,
        tokens: Tokens,
        *,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        self._address = address
        self._management_url = management_url
        self._model_name = model_name
        self._contract = contract
        self._tokens = tokens
        self._timeout_seconds = timeout_seconds
        self._channel = grpc.insecure_channel(
            address, options=(*ANY_SIZE, ("grpc.enable_http_proxy", 0))
        )
        self._stub = InferenceAPIsServiceStub(self._channel)

    def signature(self) -> Signature:
        """What our handler says of the model that it has loaded and tried."""
        with httpx.Client(timeout=self._timeout_seconds, trust_env=False) as http:
            return describe(http, self._management_url, self._model_name, self._tokens)

    def predict(self, inputs: Tensors) -> dict[str, np.ndarray]:
        return self.predict_raw(inputs)

    def predict_raw(self, tensors: Tensors, model_name: str | None = None) -> dict[str, np.ndarray]:
        """Send any tensors, whether or not the contract has them.

        Raises:
            BadRequest, ServerFault, Unreachable: as the server, or its silence, says.
        """
        answer = self.send_raw({"safetensors": save_safetensors(without_text(tensors))}, model_name)
        try:
            outputs: dict[str, np.ndarray] = load_safetensors(answer)
        except SafetensorError as error:
            raise _error_in(answer) from error
        return outputs

    def send_raw(self, parts: Mapping[str, bytes], model_name: str | None = None) -> bytes:
        """Send any parts, well-formed or not.

        Args:
            parts: part name -> bytes; our handler reads ``safetensors``, or JSON in ``data``.

        Raises:
            BadRequest, ServerFault, Unreachable: as the server, or its silence, says.
        """
        request = PredictionsRequest(model_name=model_name or self._model_name, input=parts)
        token = self._tokens.token("inference")
        try:
            return self._send_once(request, token)
        except RequestError as error:
            if KEY_REFUSED in error.message and self._tokens.changed("inference", token):
                return self._send_once(request, self._tokens.token("inference"))
            raise

    def _send_once(self, request: PredictionsRequest, token: str) -> bytes:
        metadata = (("authorization", f"Bearer {token}"),)
        try:
            answer = self._stub.Predictions(
                request, timeout=self._timeout_seconds, metadata=metadata
            )
        except grpc.RpcError as error:
            raise _grpc_failure(error) from error
        return bytes(answer.prediction)

    def call_for(self, inputs: Tensors) -> WireCall:
        """The request that ``predict`` would send, as bytes; its token lasts up to an hour."""
        parts = {"safetensors": save_safetensors(without_text(inputs))}
        request = PredictionsRequest(model_name=self._model_name, input=parts)
        metadata = self._tokens.metadata("inference")
        return WireCall("gRPC", self._address, METHOD, metadata, request.SerializeToString())

    def read_answer(self, body: bytes) -> dict[str, np.ndarray]:
        """The outputs in an answer's bytes."""
        return _outputs_in(bytes(PredictionResponse.FromString(body).prediction))

    def paste_line(self, inputs: Tensors, sample: Path) -> str:
        """A ``grpcurl`` command that sends these inputs as JSON; they are written to ``sample``.

        It names the token's file, not the token.
        """
        data = base64.b64encode(encode_rows(inputs)).decode()
        sample.write_text(json.dumps({"model_name": self._model_name, "input": {"data": data}}))
        header = shlex.quote(str(self._tokens.header_file("inference")))
        words = ["-import-path", str(Path(__file__).parent), "-proto", "inference.proto"]
        words += ["-d", "@", self._address, METHOD.removeprefix("/")]
        line = shlex.join(words)
        return f'grpcurl -plaintext -H "$(cat {header})" {line} < {shlex.quote(str(sample))}'

    def close(self) -> None:
        self._channel.close()


def describe(http: httpx.Client, management_url: str, model_name: str, tokens: Tokens) -> Signature:
    """Ask the loaded model for its inputs and outputs: ``GET /models/<model>?customized=true``.

    Raises:
        BadRequest, ServerFault, Unreachable: as the server, or its silence, says.
    """
    url = f"{management_url}/models/{model_name}"
    headers = tokens.headers("management")
    try:
        answer = http.get(url, params={"customized": "true"}, headers=headers)
    except httpx.TransportError as error:
        raise transport_failure(error, url) from error
    if answer.is_error:
        raise http_failure(answer.status_code, answer.text)
    try:
        stated = answer.json()[0]["customizedMetadata"]
        return Signature(_stated(stated["inputs"]), _stated(stated["outputs"]))
    except (ValueError, LookupError, TypeError) as error:
        raise ServerFault(f"The model does not describe itself: {answer.text[:200]}") from error


def _stated(specs: list[dict[str, Any]]) -> tuple[StatedTensor, ...]:
    return tuple(StatedTensor(each["name"], each["dtype"], tuple(each["shape"])) for each in specs)


def _grpc_failure(error: grpc.RpcError) -> RequestError:
    """TorchServe says UNAVAILABLE of its own accord too, for a model without a worker."""
    found = grpc_failure(error)
    if isinstance(found, Unreachable) and TORCHSERVES_OWN in found.message:
        return ServerFault(found.message, found.status)
    return found


def _outputs_in(answer: bytes) -> dict[str, np.ndarray]:
    try:
        outputs: dict[str, np.ndarray] = load_safetensors(answer)
    except SafetensorError as error:
        raise _error_in(answer) from error
    return outputs


def _error_in(answer: bytes) -> RequestError:
    """The error of one request in a batch of several, for which TorchServe has no gRPC status."""
    try:
        code = int(json.loads(answer)["code"])
    except (ValueError, LookupError, TypeError):
        return ServerFault(f"The answer is not safetensors: {answer[:200]!r}")
    return http_failure(code, answer.decode(errors="replace"))
