"""What ``make fuzz`` has found, each as the request that found it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
import pytest

from serving.process import ProcessServer
from serving.tfserving.embedded.batching.batch import merge
from serving.tfserving.embedded.options.batching_parameters import BatchingParameters
from serving.tfserving.embedded.options.config_files import read_text_file
from serving.tfserving.embedded.status import StatusError
from serving.tfserving.messages import ModelServerConfig, PredictRequest, PredictResponse

PREDICT = "/v1/models/half:predict"


@pytest.fixture
def channel(half_server: ProcessServer) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(half_server.spec.address("grpc")) as opened:
        yield opened


@pytest.fixture
def http(half_server: ProcessServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=half_server.spec.url("rest"), trust_env=False, timeout=30) as client:
        yield client


def nested(levels: int, value: Any) -> Any:
    for _ in range(levels):
        value = [value]
    return value


def strings_of_rank(rank: int) -> bytes:
    request = PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = "half", "same_string"
    tensor = request.inputs["value"]
    tensor.dtype = 7
    tensor.string_val.append(b"a")
    for _ in range(rank):
        tensor.tensor_shape.dim.add(size=1)
    return bytes(request.SerializeToString())


@pytest.mark.servers
class TestRanks:
    """TensorFlow's session ended the process over strings of rank 33; numpy has no rank 65."""

    def test_strings_over_grpc(self, channel: grpc.Channel) -> None:
        predict = channel.unary_unary("/tensorflow.serving.PredictionService/Predict", None, None)
        with pytest.raises(grpc.RpcError) as refused:
            predict(strings_of_rank(33), timeout=30)
        words = 'Input "value" has rank 33; at most 32 is possible for strings'
        assert (refused.value.code().name, refused.value.details()) == ("INVALID_ARGUMENT", words)
        answer = PredictResponse.FromString(predict(strings_of_rank(32), timeout=30))
        assert len(answer.outputs["value"].tensor_shape.dim) == 32

    @pytest.mark.parametrize("form", ["instances", "inputs"])
    def test_strings_over_rest(self, http: httpx.Client, form: str) -> None:
        body = {"signature_name": "same_string", form: nested(33, "a")}
        answer = http.post(PREDICT, json=body)
        words = 'Input "value" has rank 33; at most 32 is possible for strings'
        assert (answer.status_code, answer.json()) == (400, {"error": words})

    @pytest.mark.parametrize("kind", ["float32", "uint8", "bool", "string"])
    @pytest.mark.parametrize("form", ["instances", "inputs"])
    @pytest.mark.parametrize("rank", [65, 66, 300])
    def test_beyond_numpy(self, http: httpx.Client, form: str, kind: str, rank: int) -> None:
        value = {"float32": 1.0, "uint8": 1, "bool": True, "string": "a"}[kind]
        answer = http.post(
            PREDICT, json={"signature_name": f"same_{kind}", form: nested(rank, value)}
        )
        assert answer.status_code == 400
        assert "at most 64 is possible" in answer.json()["error"]

    def test_numbers_up_to_numpys(self, http: httpx.Client) -> None:
        sent = nested(64, 1.0)
        for form, back in (("instances", "predictions"), ("inputs", "outputs")):
            answer = http.post(PREDICT, json={"signature_name": "same_float32", form: sent})
            assert answer.json() == {back: sent}


@pytest.mark.servers
@pytest.mark.parametrize(("method", "code"), [("Check", "INVALID_ARGUMENT"), ("Watch", "INTERNAL")])
def test_what_is_no_message_for_the_health_service(
    channel: grpc.Channel, half_server: ProcessServer, method: str, code: str
) -> None:
    """grpc for Python says UNKNOWN and writes a stack trace into the log for each."""
    make = channel.unary_unary if method == "Check" else channel.unary_stream
    call: Any = make(f"/grpc.health.v1.Health/{method}", None, None)
    with pytest.raises(grpc.RpcError) as refused:
        list(call(b"\xff\xff", timeout=30))
    assert refused.value.code().name == code
    assert refused.value.details() == "could not parse request"
    assert "DecodeError" not in half_server.log_path.read_text()


def test_sizes_beside_a_size_of_zero_are_not_filled_up_to() -> None:
    """The request before the empty one would have got 16 GiB of its own first element."""
    tensors = [np.zeros((1, 1, 1), np.float32), np.empty((1, 0, 2**32), np.float32)]
    parameters = BatchingParameters(pad_variable_length_inputs=True)
    with pytest.raises(StatusError, match="Got empty tensor in batch of non-empty tensors"):
        merge([{"x": tensor} for tensor in tensors], 2, parameters)


def test_an_enum_beyond_its_range(tmp_path: Path) -> None:
    """protobuf raises a plain ValueError."""
    path = tmp_path / "models.config"
    path.write_text("model_config_list { config { model_type: 9223372036854775808 } }")
    with pytest.raises(StatusError, match="Invalid protobuf file"):
        read_text_file(path, ModelServerConfig())
