"""A real TorchServe: its answers, its refusals, its start and its end."""

from __future__ import annotations

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import httpx
import numpy as np
import psutil
import pytest
from safetensors.numpy import save

from models.errors import BadRequest, ServerFault, ServerNotReady
from models.predictor import check_signature, predict_in_batches
from serving.process import ProcessServer
from serving.server import Readiness
from serving.torchserve.client import GrpcClient
from serving.torchserve.repository import pack, publish
from serving.torchserve.spec import torchserve_spec
from serving.torchserve.tokens import Tokens
from serving.wire.rows import decode_rows, encode_rows

pytestmark = pytest.mark.servers

ROW = np.zeros((8, 8, 1), np.float32).tolist()
SHORT_ROW = np.zeros((8, 7, 1), np.float32).tolist()
WORDS = np.full((8, 8, 1), "one").tolist()
MALFORMED_JSON = {
    "broken JSON": (b'{"instances": [{"image": [[', "not JSON"),
    "wrong rank": (json.dumps({"instances": [{"image": [1.0, 2.0]}]}).encode(), "rank 2"),
    "wrong length": (json.dumps({"instances": [{"image": SHORT_ROW}]}).encode(), "(1, 8, 7, 1)"),
    "strings": (json.dumps({"instances": [{"image": WORDS}]}).encode(), "got strings"),
    "missing input": (json.dumps({"instances": [{"picture": ROW}]}).encode(), "['image']"),
}
MALFORMED_TENSORS = {
    "broken bytes": (b"\x00\x01\x02", "not safetensors"),
    "wrong rank": (save({"image": np.zeros((8, 8, 1), np.float32)}), "rank 3"),
    "wrong length": (save({"image": np.zeros((1, 8, 7, 1), np.float32)}), "(1, 8, 7, 1)"),
    "wrong dtype": (save({"image": np.zeros((1, 8, 8, 1), np.uint8)}), "got uint8"),
    "missing input": (save({"picture": np.zeros((1, 8, 8, 1), np.float32)}), "['image']"),
}


def assert_close(found, expected):
    assert set(found) == set(expected)
    for name, values in expected.items():
        assert found[name].dtype == values.dtype
        np.testing.assert_allclose(found[name], values, rtol=0, atol=1e-6)


@pytest.mark.parametrize("batch_size", [1, 4, 9])
def test_both_protocols_answer_as_the_module_in_memory(rest, grpc_client, scripted, batch_size):
    for client in (rest, grpc_client):
        assert_close(predict_in_batches(client, scripted.inputs, batch_size), scripted.outputs)


def test_grpc_takes_the_same_json_as_rest(rest, grpc_client, scripted, images_contract):
    body = encode_rows(scripted.inputs)
    answer = grpc_client.send_raw({"data": body})
    assert_close(decode_rows(answer, images_contract), scripted.outputs)
    status, text = rest.post_raw(body)
    assert status == 200
    assert json.loads(text) == json.loads(answer)


def test_the_served_model_describes_the_contract(rest, grpc_client, images_contract):
    for client in (rest, grpc_client):
        check_signature(images_contract, client.signature())


@pytest.mark.parametrize("case", MALFORMED_JSON)
def test_malformed_json_is_refused_by_name_and_forgotten(rest, grpc_client, scripted, case):
    body, words = MALFORMED_JSON[case]
    status, text = rest.post_raw(body)
    assert status == 400
    assert words in json.loads(text)["message"]
    with pytest.raises(BadRequest) as caught:
        grpc_client.send_raw({"data": body})
    assert caught.value.status == "INVALID_ARGUMENT"
    assert words in caught.value.message
    for client in (rest, grpc_client):
        assert_close(client.predict(scripted.inputs), scripted.outputs)


@pytest.mark.parametrize("case", MALFORMED_TENSORS)
def test_malformed_tensors_are_refused_by_name_and_forgotten(grpc_client, scripted, case):
    body, words = MALFORMED_TENSORS[case]
    with pytest.raises(BadRequest) as caught:
        grpc_client.send_raw({"safetensors": body})
    assert caught.value.status == "INVALID_ARGUMENT"
    assert words in caught.value.message
    assert_close(grpc_client.predict(scripted.inputs), scripted.outputs)


def test_an_unknown_model_is_named(rest, grpc_client, scripted):
    status, text = rest.post_raw(encode_rows(scripted.inputs), "nobody")
    assert status == 404
    assert "nobody" in json.loads(text)["message"]
    # TorchServe 0.12 says INTERNAL here, where NOT_FOUND would be right; at least it names the model.
    with pytest.raises(ServerFault, match="Model not found: nobody") as caught:
        grpc_client.predict_raw(scripted.inputs, "nobody")
    assert caught.value.status == "INTERNAL"
    for client in (rest, grpc_client):
        assert_close(client.predict(scripted.inputs), scripted.outputs)


def test_one_client_serves_many_threads(rest, grpc_client, scripted):
    with ThreadPoolExecutor(8) as pool:
        for client in (rest, grpc_client):
            for outputs in pool.map(client.predict, [scripted.inputs] * 40):
                assert_close(outputs, scripted.outputs)


def test_a_wrong_or_missing_token_is_refused(running, scripted, images_contract):
    spec = running.server.spec
    for purpose, path in (
        ("rest", "/ping"),
        ("rest", "/predictions/images"),
        ("management", "/models"),
    ):
        for headers in ({}, {"Authorization": "Bearer guess"}):
            answer = httpx.get(spec.url(purpose) + path, headers=headers, trust_env=False)
            assert answer.status_code == 400
            assert answer.json()["type"] == "InvalidKeyException"

    class Guess(Tokens):
        def token(self, purpose):
            return "guess"

    guess = Guess(spec.workdir, spec.url("management"))
    address = spec.address("grpc")
    with (
        GrpcClient(address, "", "images", images_contract, guess) as client,
        pytest.raises(BadRequest) as caught,
    ):
        client.predict(scripted.inputs)
    assert caught.value.status == "PERMISSION_DENIED"


def test_the_model_api_is_off(running):
    url = f"{running.server.spec.url('management')}/models"
    headers = running.tokens.headers("management")
    answer = httpx.post(url, params={"url": "x.mar"}, headers=headers, trust_env=False)
    assert answer.status_code == 405


def test_metrics_are_served(running, rest, scripted):
    rest.predict(scripted.inputs)
    url = f"{running.server.spec.url('metrics')}/metrics"
    answer = httpx.get(url, headers=running.tokens.headers("management"), trust_env=False)
    assert "ts_inference_requests_total" in answer.text


def test_a_renewed_key_is_taken_up_by_a_client_that_holds_the_old_one(running, rest, scripted):
    rest.predict(scripted.inputs)
    before = running.tokens.token("inference")
    spec = running.server.spec
    later = Tokens(
        spec.workdir,
        spec.url("management"),
        now=lambda: datetime.now(UTC) + timedelta(minutes=59),
    )
    assert later.token("inference") != before
    assert_close(rest.predict(scripted.inputs), scripted.outputs)


def test_the_curl_line_works_as_it_stands(rest, scripted, images_contract, tmp_path):
    row = {"image": scripted.inputs["image"][:1]}
    line = rest.paste_line(row, tmp_path / "sample.json")
    done = subprocess.run(line, shell=True, capture_output=True, check=True, timeout=60)
    first = {name: values[:1] for name, values in scripted.outputs.items()}
    assert_close(decode_rows(done.stdout, images_contract), first)


def test_two_at_once_and_nothing_left_after_the_end(
    running, store, scripted, images_contract, tmp_path
):
    """The second one's folder is too deep for a socket's path, so its worker is reached by TCP."""
    deep = tmp_path / ("deep" * 25)
    spec = torchserve_spec("images", store, deep)
    server = ProcessServer(spec)
    try:
        server.start()
        server.wait_ready()
        tokens = Tokens(deep, spec.url("management"))
        address = spec.address("grpc"), spec.url("management")
        with GrpcClient(*address, "images", images_contract, tokens) as other:
            assert_close(other.predict(scripted.inputs), scripted.outputs)
        with running.rest() as rest:
            assert_close(rest.predict(scripted.inputs), scripted.outputs)
        root = psutil.Process(server.pid)
        tree = [root, *root.children(recursive=True)]
        assert len(tree) >= 2
        listening = {
            connection.laddr.ip
            for process in tree
            for connection in process.net_connections(kind="inet")
            if connection.status == psutil.CONN_LISTEN
        }
        assert listening <= {"127.0.0.1", "::ffff:127.0.0.1"}
    finally:
        server.stop()
    assert not [process for process in tree if process.is_running()]
    assert running.server.spec.probe().readiness is Readiness.READY


def test_a_model_that_cannot_be_loaded_is_reported_at_once(images_contract, tmp_path):
    garbage = tmp_path / "garbage.pt"
    garbage.write_bytes(b"this is not TorchScript" * 100)
    mar = pack(garbage, images_contract, "images", "1", tmp_path / "a.mar")
    publish(mar, tmp_path / "store", "images", "1")
    server = ProcessServer(torchserve_spec("images", tmp_path / "store", tmp_path / "work"))
    try:
        server.start()
        with pytest.raises(ServerNotReady, match=r"will not get ready.*Failed to load model"):
            server.wait_ready()
    finally:
        server.stop()
