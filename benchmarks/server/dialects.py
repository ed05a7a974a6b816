"""How each server wants to be asked, and how its answer is read: one Dialect per form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
from google.protobuf.wrappers_pb2 import BytesValue
from safetensors.numpy import load as load_safetensors
from safetensors.numpy import save as save_safetensors

from benchmarks.server import open_inference
from benchmarks.server.subject import Subject
from serving.tfserving.client import PREDICT
from serving.tfserving.messages import PredictRequest, PredictResponse
from serving.tfserving.tensor_proto import from_proto, to_proto
from serving.torchserve import client as torchserve
from serving.torchserve.inference_pb2 import PredictionResponse, PredictionsRequest
from serving.wire.rows import encode_rows

Outputs = list[np.ndarray]
"""In the order of their names."""


@dataclass(frozen=True)
class Dialect:
    """One form of request and answer.

    Attributes:
        protocol: ``REST`` or ``gRPC``.
        path: of the POST, or of the method; ``{name}`` is the model's.
        write: a batch as the request's body.
        read: the outputs in an answer's body. Raises whatever it stumbles over.
    """

    protocol: str
    path: str
    write: Callable[[Subject, np.ndarray], bytes]
    read: Callable[[Subject, bytes], Outputs]


def _write_rows(subject: Subject, rows: np.ndarray) -> bytes:
    return encode_rows({subject.input_name: rows})


def _read_rows(subject: Subject, body: bytes) -> Outputs:
    predictions = orjson.loads(body)["predictions"]
    if len(subject.expected) == 1:
        return [np.array(predictions, np.float32)]
    names = sorted(subject.expected)
    return [np.array([row[name] for row in predictions], np.float32) for name in names]


def _write_array(_: Subject, rows: np.ndarray) -> bytes:
    return orjson.dumps({"rows": rows}, option=orjson.OPT_SERIALIZE_NUMPY)


def _read_side_by_side(subject: Subject, body: bytes) -> Outputs:
    """One array that holds every output's columns."""
    return _columns(subject, np.array(orjson.loads(body), np.float32))


def _columns(subject: Subject, array: np.ndarray) -> Outputs:
    widths = [subject.expected[name].shape[-1] for name in sorted(subject.expected)]
    return np.split(array, np.cumsum(widths)[:-1], axis=-1)


def _write_v2(subject: Subject, rows: np.ndarray) -> bytes:
    tensor = {
        "name": subject.input_name,
        "shape": rows.shape,
        "datatype": "FP32",
        "data": rows.ravel(),
    }
    return orjson.dumps({"id": "1", "inputs": [tensor]}, option=orjson.OPT_SERIALIZE_NUMPY)


def _read_v2(_: Subject, body: bytes) -> Outputs:
    outputs = sorted(orjson.loads(body)["outputs"], key=lambda each: str(each["name"]))
    return [np.array(each["data"], np.float32).reshape(each["shape"]) for each in outputs]


def _write_predict(subject: Subject, rows: np.ndarray) -> bytes:
    request = PredictRequest()
    request.model_spec.name = subject.name
    request.inputs[subject.input_name].CopyFrom(to_proto(rows))
    return bytes(request.SerializeToString())


def _read_predict(_: Subject, body: bytes) -> Outputs:
    outputs: Any = PredictResponse.FromString(body).outputs
    return [from_proto(outputs[name]) for name in sorted(outputs)]


def _write_raw(_: Subject, rows: np.ndarray) -> bytes:
    return BytesValue(value=rows.tobytes()).SerializeToString()


def _read_raw(subject: Subject, body: bytes) -> Outputs:
    """Outputs one behind the other."""
    numbers = np.frombuffer(BytesValue.FromString(body).value, np.float32)
    widths = [subject.expected[name].shape[-1] for name in sorted(subject.expected)]
    rows = len(numbers) // sum(widths)
    parts = np.split(numbers, np.cumsum(widths)[:-1] * rows)
    return [part.reshape(rows, -1) for part in parts]


def _write_safetensors(subject: Subject, rows: np.ndarray) -> bytes:
    parts = {"safetensors": bytes(save_safetensors({subject.input_name: rows}))}
    return bytes(PredictionsRequest(model_name=subject.name, input=parts).SerializeToString())


def _read_safetensors(_: Subject, body: bytes) -> Outputs:
    arrays = load_safetensors(PredictionResponse.FromString(body).prediction)
    return [arrays[name] for name in sorted(arrays)]


DIALECTS = {
    "predict-rest": Dialect("REST", "/v1/models/{name}:predict", _write_rows, _read_rows),
    "predict-grpc": Dialect("gRPC", f"/{PREDICT}", _write_predict, _read_predict),
    "rows": Dialect("REST", "/predict", _write_rows, _read_rows),
    "array": Dialect("REST", "/predict", _write_array, _read_side_by_side),
    "v2-rest": Dialect("REST", "/v2/models/{name}/infer", _write_v2, _read_v2),
    "v2-grpc": Dialect("gRPC", open_inference.METHOD, open_inference.write, open_inference.read),
    "raw-grpc": Dialect("gRPC", "/bench.Rows/Predict", _write_raw, _read_raw),
    "torchserve-rest": Dialect("REST", "/predictions/{name}", _write_rows, _read_rows),
    "torchserve-grpc": Dialect("gRPC", torchserve.METHOD, _write_safetensors, _read_safetensors),
}
