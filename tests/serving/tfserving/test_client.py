"""The clients without a server: what they send, what they read, and how they name failures."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from typing import Any

import grpc
import httpx
import numpy as np
import pytest

from models.contract import Contract
from models.errors import (
    BadRequest,
    NameMismatch,
    RequestError,
    ServerFault,
    Unreachable,
)
from models.predictor import Signature, StatedTensor
from serving.tfserving.client import RestClient
from serving.wire.failures import grpc_failure

IMAGE = np.zeros((2, 8, 8, 1), np.float32)
ROW = {"logits": [0.0] * 10, "probabilities": [0.1] * 10}

METADATA = {
    "model_spec": {"name": "digits", "signature_name": "", "version": "1"},
    "metadata": {
        "signature_def": {
            "signature_def": {
                "serving_default": {
                    "inputs": {
                        "image": {
                            "name": "serving_default_image:0",
                            "dtype": "DT_FLOAT",
                            "tensor_shape": {
                                "unknown_rank": False,
                                "dim": [
                                    {"size": size, "name": ""} for size in ("-1", "8", "8", "1")
                                ],
                            },
                        }
                    },
                    "outputs": {
                        "word": {"dtype": "DT_STRING", "tensor_shape": {"unknown_rank": True}}
                    },
                    "method_name": "tensorflow/serving/predict",
                }
            }
        }
    },
}

Handler = Callable[[httpx.Request], httpx.Response]


def client_of(contract: Contract, handler: Handler, model: str = "digits") -> RestClient:
    return RestClient("http://server:1", model, contract, transport=httpx.MockTransport(handler))


def answering(status: int, document: Any) -> Handler:
    return lambda request: httpx.Response(status, json=document)


def test_predict_sends_rows_and_reads_outputs(contract: Contract) -> None:
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"predictions": [ROW, ROW]})

    with client_of(contract, handler) as client:
        outputs = client.predict({"image": IMAGE})
    [request] = seen
    assert (request.method, request.url.path) == ("POST", "/v1/models/digits:predict")
    assert request.headers["content-type"] == "application/json"
    assert json.loads(request.content) == {"instances": [{"image": row} for row in IMAGE.tolist()]}
    assert outputs["probabilities"].dtype == np.float32
    assert outputs["logits"].shape == (2, 10)


def test_a_models_name_is_quoted(contract: Contract) -> None:
    paths = []

    def handler(request: httpx.Request) -> httpx.Response:
        paths.append(request.url.raw_path)
        return httpx.Response(200, json={"predictions": [ROW]})

    client_of(contract, handler, "a/b c").predict({"image": IMAGE[:1]})
    assert paths == [b"/v1/models/a%2Fb%20c:predict"]


def test_the_signature_is_read_without_the_batch_axis(contract: Contract) -> None:
    assert client_of(contract, answering(200, METADATA)).signature() == Signature(
        inputs=(StatedTensor("image", "float32", (8, 8, 1)),),
        outputs=(StatedTensor("word", "string", None),),
    )


@pytest.mark.parametrize("document", [[], {}, {"metadata": {}}, {"metadata": {"signature_def": 3}}])
def test_metadata_of_another_form(contract: Contract, document: Any) -> None:
    with pytest.raises(ServerFault, match="metadata"):
        client_of(contract, answering(200, document)).signature()


def test_a_model_without_the_signature(contract: Contract) -> None:
    empty = {"metadata": {"signature_def": {"signature_def": {}}}}
    with pytest.raises(NameMismatch, match="serving_default"):
        client_of(contract, answering(200, empty)).signature()


@pytest.mark.parametrize(
    ("status", "body", "kind", "words"),
    [
        (400, '{"error": "the words"}', BadRequest, "the words"),
        (404, '{"message": "the words"}', BadRequest, "the words"),
        (500, "plain words", ServerFault, "plain words"),
        (503, "", ServerFault, "HTTP 503 without a message"),
        (400, "[1]", BadRequest, "[1]"),
    ],
)
def test_failures_carry_the_servers_words_and_status(
    contract: Contract, status: int, body: str, kind: type[RequestError], words: str
) -> None:
    client = client_of(contract, lambda request: httpx.Response(status, text=body))
    with pytest.raises(kind) as failed:
        client.predict({"image": IMAGE})
    assert (failed.value.message, failed.value.status) == (words, str(status))
    assert client.post_raw(b"anything") == (status, body)
    again = pickle.loads(pickle.dumps(failed.value))
    assert (type(again), again.message, again.status) == (kind, words, str(status))


@pytest.mark.parametrize("error", [httpx.ConnectError("refused"), httpx.ReadTimeout("")])
def test_no_answer_is_unreachable(contract: Contract, error: httpx.TransportError) -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        raise error

    with pytest.raises(
        Unreachable, match=r"http://server:1/v1/models/digits:predict gave no answer"
    ):
        client_of(contract, handler).predict({"image": IMAGE})


class Failed(grpc.RpcError, grpc.Call):
    """A failed call, as a stub raises it."""

    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        super().__init__()
        self._code, self._details = code, details

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str:
        return self._details

    def _unused(self, *_: Any) -> Any:
        raise NotImplementedError

    initial_metadata = trailing_metadata = is_active = time_remaining = cancel = _unused
    add_callback = _unused


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, BadRequest),
        (grpc.StatusCode.NOT_FOUND, BadRequest),
        (grpc.StatusCode.FAILED_PRECONDITION, BadRequest),
        (grpc.StatusCode.INTERNAL, ServerFault),
        (grpc.StatusCode.UNKNOWN, ServerFault),
        (grpc.StatusCode.UNAVAILABLE, Unreachable),
        (grpc.StatusCode.DEADLINE_EXCEEDED, Unreachable),
    ],
)
def test_grpc_codes(code: grpc.StatusCode, kind: type[RequestError]) -> None:
    failure = grpc_failure(Failed(code, "the words"))
    assert (type(failure), failure.message, failure.status) == (kind, "the words", code.name)


def test_a_failure_without_words_or_code() -> None:
    assert grpc_failure(Failed(grpc.StatusCode.INTERNAL, "")).message == "INTERNAL"
    assert grpc_failure(grpc.RpcError("odd")).message == "odd"
