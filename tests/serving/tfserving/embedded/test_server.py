"""The embedded server as clients see it: answers, metadata, refusals."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import httpx
import numpy as np
import pytest

from models.contract import Contract
from models.errors import BadRequest
from models.predictor import Predictor, check_signature, predict_in_batches
from serving.process import ProcessServer
from serving.tfserving.client import GrpcClient, RestClient
from serving.tfserving.messages import (
    GetModelStatusRequest,
    ModelServiceStub,
    PredictionServiceStub,
    PredictRequest,
)
from serving.tfserving.tensor_proto import from_proto, to_proto
from serving.wire.rows import encode_rows

pytestmark = pytest.mark.servers

MODEL = "digits"
VERSION = 3
Reference = dict[str, np.ndarray]


@pytest.fixture(params=["REST", "gRPC"])
def client(request: pytest.FixtureRequest) -> Predictor:
    name = {"REST": "rest", "gRPC": "grpc_client"}[request.param]
    found: Predictor = request.getfixturevalue(name)
    return found


def assert_answers(client: Predictor, reference: Reference, batch_size: int = 20) -> None:
    answers = predict_in_batches(client, {"image": reference["image"]}, batch_size)
    assert set(answers) == {"logits", "probabilities"}
    for name, array in answers.items():
        assert array.dtype == np.float32
        np.testing.assert_allclose(array, reference[name], atol=1e-5)


@pytest.mark.parametrize("batch_size", [1, 7, 20])
def test_answers_are_those_of_the_model_in_memory(
    client: Predictor, reference: Reference, batch_size: int
) -> None:
    assert_answers(client, reference, batch_size)


def test_both_protocols_give_the_same_bits(
    rest: RestClient, grpc_client: GrpcClient, reference: Reference
) -> None:
    inputs = {"image": reference["image"]}
    over_rest, over_grpc = rest.predict(inputs), grpc_client.predict(inputs)
    for name, array in over_grpc.items():
        np.testing.assert_array_equal(over_rest[name], array)


def test_a_ready_call_is_answered(
    server: ProcessServer, rest: RestClient, grpc_client: GrpcClient, reference: Reference
) -> None:
    inputs = {"image": reference["image"][:2]}
    call = rest.call_for(inputs)
    with httpx.Client(trust_env=False) as http:
        over_rest = http.post(call.target, content=call.body, headers=dict(call.headers)).content
    call = grpc_client.call_for(inputs)
    with grpc.insecure_channel(call.target) as channel:
        over_grpc = channel.unary_unary(call.method)(call.body, timeout=10)
    for answers in (rest.read_answer(over_rest), grpc_client.read_answer(over_grpc)):
        np.testing.assert_allclose(answers["logits"], reference["logits"][:2], atol=1e-5)


def test_metadata_is_the_contract(client: Predictor, contract: Contract) -> None:
    check_signature(contract, client.signature())


def test_many_threads_share_one_client(client: Predictor, reference: Reference) -> None:
    with ThreadPoolExecutor(8) as threads:
        for done in [threads.submit(assert_answers, client, reference, 5) for _ in range(8)]:
            done.result()


def test_a_large_request_is_answered_too(client: Predictor, reference: Reference) -> None:
    """Beyond the size that is worked on in the event loop."""
    image = np.tile(reference["image"], (100, 1, 1, 1))
    logits = client.predict({"image": image})["logits"]
    np.testing.assert_allclose(logits, np.tile(reference["logits"], (100, 1)), atol=1e-5)


class TestRest:
    """Forms, versions and texts of the REST interface."""

    @pytest.fixture
    def http(self, server: ProcessServer) -> Any:
        with httpx.Client(base_url=server.spec.url("rest"), trust_env=False) as client:
            yield client

    def test_status(self, http: httpx.Client) -> None:
        assert http.get(f"/v1/models/{MODEL}").json() == {
            "model_version_status": [
                {
                    "version": str(VERSION),
                    "state": "AVAILABLE",
                    "status": {"error_code": "OK", "error_message": ""},
                }
            ]
        }

    def test_columnar(self, http: httpx.Client, reference: Reference) -> None:
        image = reference["image"][:2].tolist()
        for inputs in (image, {"image": image}):
            answer = http.post(f"/v1/models/{MODEL}:predict", json={"inputs": inputs}).json()
            np.testing.assert_allclose(
                answer["outputs"]["logits"], reference["logits"][:2], atol=1e-5
            )

    def test_bare_rows(self, http: httpx.Client, reference: Reference) -> None:
        body = {"instances": reference["image"][:2].tolist()}
        answer = http.post(f"/v1/models/{MODEL}:predict", json=body).json()
        assert answer["predictions"][1].keys() == {"logits", "probabilities"}

    @pytest.mark.parametrize(
        ("key", "answer_key"), [("instances", "predictions"), ("inputs", "outputs")]
    )
    def test_one_output_is_bare_values(
        self, http: httpx.Client, reference: Reference, key: str, answer_key: str
    ) -> None:
        body = {"signature_name": "one_output", key: reference["image"][:2].tolist()}
        answer = http.post(f"/v1/models/{MODEL}:predict", json=body).json()
        np.testing.assert_allclose(answer[answer_key], reference["logits"][:2], atol=1e-5)

    def test_text_and_whole_numbers(self, http: httpx.Client) -> None:
        rows = [{"word": "ab", "count": 1}, {"word": {"b64": "eHk="}, "count": 2**62}]
        body = {"signature_name": "shout", "instances": rows}
        assert http.post(f"/v1/models/{MODEL}:predict", json=body).json()["predictions"] == [
            {"loud": "AB", "loud_bytes": {"b64": "QUI="}, "more": 2, "many": False},
            {"loud": "XY", "loud_bytes": {"b64": "WFk="}, "more": 2**62 + 1, "many": True},
        ]

    def test_a_version_by_number(self, http: httpx.Client, reference: Reference) -> None:
        body = {"instances": reference["image"][:1].tolist()}
        path = f"/v1/models/{MODEL}/versions"
        assert http.post(f"{path}/{VERSION}:predict", json=body).status_code == 200
        assert http.get(f"{path}/{VERSION}").status_code == 200
        missing = http.post(f"{path}/9:predict", json=body)
        assert missing.status_code == 404
        assert missing.json() == {"error": f"Servable not found for request: Specific({MODEL}, 9)"}

    @pytest.mark.parametrize(
        ("body", "words"),
        [
            ("", "JSON Parse error: The document is empty"),
            ("[]", "Is not object"),
            ("{}", "Missing 'inputs' or 'instances' key"),
            ('{"instances": [1], "inputs": [1]}', "only one of 'inputs' or 'instances'"),
            ('{"instances": 3}', "Expecting 'instances' to be an list/array"),
            ('{"instances": []}', "No values in 'instances' array"),
            ('{"inputs": {"x": 1}}', "Missing named input: image in 'inputs' object."),
            ('{"instances": [{"image": [1, [2]]}]}', "Encountered list at unexpected level: 1"),
            ('{"instances": [{"image": [[1], [2, 3]]}]}', "Encountered list at unexpected size: 2"),
            ('{"instances": [{"image": [[1], 2]}]}', "found at incorrect level: 2"),
            ('{"instances": [{"image": [1]}, {"image": [1, 2]}]}', "Expecting tensor size: 1"),
            ('{"instances": [{"image": true}]}', "true Type: True is not of expected type: float"),
            ('{"instances": [null]}', "null Type: Null is not of expected type: float"),
            ('{"instances": [{"image": 1}, 2]}', "Expecting object but got list at item 1"),
            ('{"instances": [2, {"image": 1}]}', "Expecting value/list but got object at item 1"),
            ('{"signature_name": 1}', "'signature_name' key must be a string value."),
            ('{"signature_name": "x", "instances": [1]}', 'name: "x" not found in signature def'),
            ("[" * 100_000, "JSON Parse error"),
            ('{"instances": ' + "[" * 900 + "]" * 900 + "}", "has rank 899"),
            ('{"inputs": 1, "instances": ' + "[" * 900 + "]" * 900 + "}", "only one of"),
        ],
    )
    def test_refusals_name_the_problem(self, rest: RestClient, body: str, words: str) -> None:
        status, text = rest.post_raw(body.encode())
        assert status == 400
        assert words in httpx.Response(200, text=text).json()["error"]

    @pytest.mark.parametrize(
        ("method", "path", "status"),
        [
            ("GET", "/", 404),
            ("GET", "/v1/models", 400),
            ("GET", "/v1/models/nobody", 404),
            ("GET", "/v1/models/nobody/metadata", 404),
            ("GET", f"/v1/models/{MODEL}/versions/9", 404),
            ("GET", f"/v1/models/{MODEL}/versions/99999999999999999999", 400),
            ("POST", f"/v1/models/{MODEL}:guess", 400),
            ("POST", f"/v1/models/{MODEL}/labels/stable:predict", 400),
            ("DELETE", f"/v1/models/{MODEL}", 400),
        ],
    )
    def test_paths_that_lead_nowhere(
        self, http: httpx.Client, method: str, path: str, status: int
    ) -> None:
        answer = http.request(method, path)
        assert answer.status_code == status
        is_page = answer.headers["content-type"] == "text/html"
        assert is_page == (status == 404 and path == "/")


class TestGrpc:
    """What the generated stubs can ask and our client does not."""

    @pytest.fixture
    def channel(self, server: ProcessServer) -> Any:
        with grpc.insecure_channel(server.spec.address("grpc")) as channel:
            yield channel

    def request(self, image: np.ndarray, **fields: Any) -> Any:
        request = PredictRequest(**fields)
        request.model_spec.name = MODEL
        request.inputs["image"].CopyFrom(to_proto(image, as_content=False))
        return request

    def test_status(self, channel: grpc.Channel) -> None:
        request = GetModelStatusRequest()
        request.model_spec.name = MODEL
        [version] = (
            ModelServiceStub(channel).GetModelStatus(request, timeout=10).model_version_status
        )
        assert (version.version, version.state, version.status.error_code) == (VERSION, 30, 0)

    def test_an_output_filter(self, channel: grpc.Channel, reference: Reference) -> None:
        request = self.request(reference["image"][:1], output_filter=["logits"])
        answer = PredictionServiceStub(channel).Predict(request, timeout=10)
        assert list(answer.outputs) == ["logits"]
        assert answer.outputs["logits"].float_val, "TF Serving answers in the value fields"
        assert (answer.model_spec.name, answer.model_spec.version.value) == (MODEL, VERSION)
        np.testing.assert_allclose(
            from_proto(answer.outputs["logits"]), reference["logits"][:1], atol=1e-5
        )

    @pytest.mark.parametrize(
        ("change", "code", "words"),
        [
            (lambda it: it.output_filter.append("x"), "INVALID_ARGUMENT", "alias not found"),
            (lambda it: it.model_spec.ClearField("name"), "INVALID_ARGUMENT", "no name"),
            (
                lambda it: setattr(it.model_spec, "signature_name", "x"),
                "FAILED_PRECONDITION",
                'Serving signature key "x" not found.',
            ),
            (
                lambda it: setattr(it.model_spec.version, "value", 9),
                "NOT_FOUND",
                f"Specific({MODEL}, 9)",
            ),
            (
                lambda it: setattr(it.inputs["image"], "tensor_content", b"x"),
                "INVALID_ARGUMENT",
                "tensor parsing error: image",
            ),
            (
                lambda it: setattr(it.inputs["image"].tensor_shape.dim[0], "size", 2**40),
                "INVALID_ARGUMENT",
                "tensor parsing error: image",
            ),
        ],
    )
    def test_refusals_name_the_problem(
        self,
        channel: grpc.Channel,
        reference: Reference,
        change: Callable[[Any], None],
        code: str,
        words: str,
    ) -> None:
        request = self.request(reference["image"][:1])
        change(request)
        with pytest.raises(grpc.RpcError) as refused:
            PredictionServiceStub(channel).Predict(request, timeout=10)
        assert refused.value.code().name == code
        assert words in refused.value.details()


def rest_malformed(image: np.ndarray) -> dict[str, tuple[bytes, str | None, int, str]]:
    """Body, model name, status and words by kind of mistake; the image is one good row."""
    return {
        "broken JSON": (encode_rows({"image": image})[:-5], None, 400, "JSON Parse error"),
        "wrong rank": (encode_rows({"image": image[..., 0]}), None, 400, "[1,8,8]"),
        "wrong length": (encode_rows({"image": image[:, :7]}), None, 400, "[1,7,8,1]"),
        "strings for numbers": (encode_rows({"image": image.astype(str)}), None, 400, "String"),
        "missing input": (b'{"instances": [{}]}', None, 400, "keys must be equal to: image"),
        "unknown model": (encode_rows({"image": image}), "nobody", 404, "nobody"),
    }


@pytest.mark.parametrize("mistake", list(rest_malformed(np.zeros((1, 8, 8, 1)))))
def test_malformed_over_rest(rest: RestClient, reference: Reference, mistake: str) -> None:
    body, model_name, status, words = rest_malformed(reference["image"][:1])[mistake]
    found, text = rest.post_raw(body, model_name)
    assert (found, words in text) == (status, True), text
    assert_answers(rest, reference)


def grpc_malformed(
    image: np.ndarray,
) -> dict[str, tuple[dict[str, np.ndarray], str | None, str, str]]:
    """Tensors, model name, code and words; what is broken JSON for REST is a wrong dtype here."""
    return {
        "wrong dtype": ({"image": image.astype("f8")}, None, "INVALID_ARGUMENT", "double"),
        "wrong rank": ({"image": image[..., 0]}, None, "INVALID_ARGUMENT", "[1,8,8]"),
        "wrong length": ({"image": image[:, :7]}, None, "INVALID_ARGUMENT", "[1,7,8,1]"),
        "strings for numbers": ({"image": image.astype(str)}, None, "INVALID_ARGUMENT", "string"),
        "missing input": ({}, None, "INVALID_ARGUMENT", "Missing but required: {image}"),
        "unknown input": ({"picture": image}, None, "INVALID_ARGUMENT", "picture"),
        "unknown model": ({"image": image}, "nobody", "NOT_FOUND", "Latest(nobody)"),
    }


@pytest.mark.parametrize("mistake", list(grpc_malformed(np.zeros((1, 8, 8, 1)))))
def test_malformed_over_grpc(grpc_client: GrpcClient, reference: Reference, mistake: str) -> None:
    tensors, model_name, status, words = grpc_malformed(reference["image"][:1])[mistake]
    with pytest.raises(BadRequest) as refused:
        grpc_client.predict_raw(tensors, model_name)
    assert (refused.value.status, words in refused.value.message) == (status, True), refused.value
    assert_answers(grpc_client, reference)


def test_broken_bytes_over_grpc(
    server: ProcessServer, grpc_client: GrpcClient, reference: Reference
) -> None:
    with grpc.insecure_channel(server.spec.address("grpc")) as channel:
        call = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
        with pytest.raises(grpc.RpcError):
            call(b"\xff\xff not a message", timeout=10)
    assert_answers(grpc_client, reference)
