"""Every form of answer is read to the same outputs, and what is not right is told from what is."""

from __future__ import annotations

import numpy as np
import orjson
import pytest
from google.protobuf.wrappers_pb2 import BytesValue
from safetensors.numpy import save as save_safetensors

from benchmarks.server import open_inference
from benchmarks.server.dialects import DIALECTS
from serving.tfserving.messages import PredictRequest, PredictResponse
from serving.tfserving.tensor_proto import from_proto, to_proto
from serving.torchserve.inference_pb2 import PredictionResponse
from tests.benchmarks.server.samples import ECHO, SUBJECT

OUTPUTS = {name: SUBJECT.expected[name][:4] for name in ("a", "b")}


def rows() -> bytes:
    columns = {name: array.tolist() for name, array in OUTPUTS.items()}
    each = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return orjson.dumps({"predictions": each})


def v2() -> bytes:
    outputs = [
        {"name": name, "shape": array.shape, "data": array.ravel().tolist()}
        for name, array in reversed(OUTPUTS.items())
    ]
    return orjson.dumps({"outputs": outputs})


def predict_response() -> bytes:
    response = PredictResponse()
    for name, array in OUTPUTS.items():
        response.outputs[name].CopyFrom(to_proto(array))
    return bytes(response.SerializeToString())


def model_infer_response(raw: bool) -> bytes:
    answer = open_inference._CLASSES["Response"]()
    for name, array in reversed(OUTPUTS.items()):
        tensor = answer.outputs.add(name=name, datatype="FP32", shape=array.shape)
        if raw:
            answer.raw_output_contents.append(array.tobytes())
        else:
            tensor.contents.fp32_contents.extend(array.ravel().tolist())
    return bytes(answer.SerializeToString())


ANSWERS = {
    "predict-rest": rows(),
    "predict-grpc": predict_response(),
    "rows": rows(),
    "array": orjson.dumps(np.concatenate(list(OUTPUTS.values()), axis=-1).tolist()),
    "v2-rest": v2(),
    "v2-grpc": model_infer_response(raw=True),
    "raw-grpc": BytesValue(
        value=b"".join(array.tobytes() for array in OUTPUTS.values())
    ).SerializeToString(),
    "torchserve-rest": rows(),
    "torchserve-grpc": PredictionResponse(prediction=save_safetensors(OUTPUTS)).SerializeToString(),
}


@pytest.mark.parametrize("name", DIALECTS)
def test_an_answer_is_read_to_outputs_in_the_order_of_their_names(name: str) -> None:
    found = DIALECTS[name].read(SUBJECT, ANSWERS[name])
    assert [array.shape for array in found] == [(4, 3), (4, 2)]
    assert SUBJECT.is_right(0, 4, found)
    assert not SUBJECT.is_right(1, 4, found), "the answer to another batch"


def test_both_forms_of_open_inference_are_read() -> None:
    found = open_inference.read(SUBJECT, model_infer_response(raw=False))
    assert SUBJECT.is_right(0, 4, found)


@pytest.mark.parametrize("name", DIALECTS)
def test_every_request_can_be_written(name: str) -> None:
    assert DIALECTS[name].write(SUBJECT, SUBJECT.rows[:2])


def test_a_predict_request_holds_the_rows() -> None:
    written = DIALECTS["predict-grpc"].write(SUBJECT, SUBJECT.rows[:2])
    request = PredictRequest.FromString(written)
    np.testing.assert_array_equal(from_proto(request.inputs["x"]), SUBJECT.rows[:2])
    assert request.model_spec.name == "tiny"


@pytest.mark.parametrize(
    "found",
    [
        pytest.param([ECHO.rows[:2]], id="a row too many"),
        pytest.param([ECHO.rows[:1] + 0.01], id="off"),
        pytest.param([ECHO.rows[:1] * np.nan], id="NaN"),
        pytest.param([ECHO.rows[:1, :2]], id="narrower"),
        pytest.param([ECHO.rows[0]], id="without the batch"),
        pytest.param([ECHO.rows[:1], ECHO.rows[:1]], id="an output too many"),
        pytest.param([], id="nothing"),
    ],
)
def test_what_is_not_right(found: list[np.ndarray]) -> None:
    assert ECHO.is_right(0, 1, [ECHO.rows[:1]])
    assert not ECHO.is_right(0, 1, found)


def test_a_batch_larger_than_the_rows_repeats_them() -> None:
    (batch,) = ECHO.batches(150)
    assert len(batch) == 150
    np.testing.assert_array_equal(batch[64], ECHO.rows[0])
    assert ECHO.is_right(0, 150, [batch])
