"""The clients against an injected transport, or against nobody."""

from __future__ import annotations

import json
import shlex

import httpx
import numpy as np
import pytest

from models.errors import BadRequest, ServerFault, Unreachable
from models.predictor import Predictor
from serving.process import free_ports
from serving.torchserve.client import GrpcClient, RestClient
from serving.torchserve.tokens import Tokens

INPUTS = {"image": np.zeros((1, 8, 8, 1), np.float32)}


@pytest.fixture
def tokens(tmp_path):
    keys = {"key": "secret", "expiration time": "2999-01-01T00:00:00Z"}
    text = json.dumps({"management": keys, "inference": keys, "API": {"key": "a"}})
    (tmp_path / "key_file.json").write_text(text)
    return Tokens(tmp_path, "http://management")


def client(tokens, contract, answer) -> RestClient:
    return RestClient(
        "http://inference",
        "http://management",
        "images",
        contract,
        tokens,
        transport=httpx.MockTransport(answer),
    )


def test_a_prediction_is_authorised_and_decoded(tokens, images_contract):
    seen = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        row = {"logits": [0.1] * 10, "probabilities": [0.2] * 10}
        return httpx.Response(200, json={"predictions": [row]})

    with client(tokens, images_contract, answer) as rest:
        is_predictor: Predictor = rest
        outputs = is_predictor.predict(INPUTS)
    assert str(seen[0].url) == "http://inference/predictions/images"
    assert seen[0].headers["Authorization"] == "Bearer secret"
    assert seen[0].headers["Content-Type"] == "application/json"
    np.testing.assert_array_equal(outputs["logits"], np.full((1, 10), 0.1, np.float32))


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, BadRequest), (404, BadRequest), (500, ServerFault), (503, ServerFault)],
)
def test_errors_carry_the_servers_words_and_status(tokens, images_contract, status, kind):
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(status, json={"code": status, "message": "because"})

    with client(tokens, images_contract, answer) as rest:
        with pytest.raises(kind, match=r"^because$") as caught:
            rest.predict(INPUTS)
        assert caught.value.status == str(status)
        with pytest.raises(kind, match="because"):
            rest.signature()
        assert rest.post_raw(b"?") == (status, f'{{"code":{status},"message":"because"}}')


def test_silence_is_unreachable(tokens, images_contract):
    def answer(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("", request=request)

    with client(tokens, images_contract, answer) as rest:
        for call in (lambda: rest.predict(INPUTS), lambda: rest.post_raw(b"?"), rest.signature):
            with pytest.raises(Unreachable, match="ReadTimeout"):
                call()


@pytest.mark.parametrize("described", [[], [{}], [{"customizedMetadata": {"inputs": [{}]}}], "x"])
def test_a_model_that_does_not_describe_itself_is_a_fault(tokens, images_contract, described):
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=described)

    with client(tokens, images_contract, answer) as rest, pytest.raises(ServerFault):
        rest.signature()


def test_nobody_behind_the_grpc_address_is_unreachable(tokens, images_contract):
    address = f"127.0.0.1:{free_ports(1)[0]}"
    with GrpcClient(address, "http://127.0.0.1", "images", images_contract, tokens) as grpc_client:
        with pytest.raises(Unreachable) as caught:
            grpc_client.predict(INPUTS)
        assert caught.value.status == "UNAVAILABLE"


def test_lines_to_paste_name_the_tokens_file_but_not_the_token(tokens, images_contract, tmp_path):
    with client(tokens, images_contract, lambda request: httpx.Response(200)) as rest:
        curl = rest.paste_line(INPUTS, tmp_path / "rest.json")
    with GrpcClient("127.0.0.1:1", "", "images", images_contract, tokens) as grpc_client:
        grpcurl = grpc_client.paste_line(INPUTS, tmp_path / "grpc.json")
    for line in (curl, grpcurl):
        assert "secret" not in line
        assert str(tmp_path / "inference.header") in line
        assert "\n" not in line
    assert shlex.split(grpcurl)[-3].endswith("InferenceAPIsService/Predictions")
