"""Requests that are right, whose answers are known to the last digit: what comes after the odd ones."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.fuzz.inputs.http import request
from benchmarks.fuzz.inputs.input import Input
from benchmarks.fuzz.inputs.served import BATCHED, DIGITS, HALF, MIRROR
from benchmarks.fuzz.lanes import http
from benchmarks.fuzz.lanes.answer import Answer, Came
from serving.tfserving.messages import PredictRequest, PredictResponse
from serving.tfserving.tensor_proto import from_proto, to_proto

Check = Callable[[Answer], str]
"""What is wrong with an answer; empty where nothing is."""


@dataclass(frozen=True)
class Good:
    """A request and what its answer must be."""

    name: str
    sent: Input
    check: Check


def half_requests(model: str = HALF) -> list[Good]:
    """x / 2 + 2 over both protocols; half's and batched's numbers are exact in binary."""
    x = np.array([1.0, 2.0, 5.0], np.float32)
    body = {"instances": x.tolist()}
    return [
        Good(f"{model} over REST", _rest(model, body), _json_is({"predictions": [2.5, 3.0, 4.5]})),
        Good(f"{model} over gRPC", _rpc(model, {"x": x}), _tensors_are({"y": x / 2 + 2})),
    ]


def mirror_requests() -> list[Good]:
    """2 x, in a batch that is filled up to two rows with the first one again."""
    x = np.array([[1.0, 2.0]], np.float32)
    outputs = {
        "double": x * 2,
        "rows": np.full(1, 2, np.float32),
        "total": np.full(1, 6, np.float32),
    }
    rows = [{"double": [2.0, 4.0], "rows": 2.0, "total": 6.0}]
    return [
        Good(
            "mirror over REST",
            _rest(MIRROR, {"instances": x.tolist()}),
            _json_is({"predictions": rows}),
        ),
        Good("mirror over gRPC", _rpc(MIRROR, {"x": x}), _tensors_are(outputs)),
    ]


def digits_requests(reference: Mapping[str, np.ndarray]) -> list[Good]:
    """The network's first rows.

    The first answer is held against the model in memory, the others to the first one's last bit.

    Args:
        reference: ``image`` (N, 8, 8, 1) and the outputs of the model in memory, by name.
    """
    image = reference["image"][:2]
    wanted = {name: array[:2] for name, array in reference.items() if name != "image"}
    body = {"instances": image.tolist()}
    return [
        Good("digits over REST", _rest(DIGITS, body), _Steady(wanted, _rows_in_json)),
        Good("digits over gRPC", _rpc(DIGITS, {"image": image}), _Steady(wanted, _tensors_in)),
    ]


def all_requests(reference: Mapping[str, np.ndarray]) -> list[Good]:
    """Those of every model that is served."""
    return [
        *half_requests(),
        *half_requests(BATCHED),
        *mirror_requests(),
        *digits_requests(reference),
    ]


def check_goods(goods: Sequence[Good], answers: Sequence[Answer]) -> list[str]:
    """What is wrong with the answers to good requests."""
    found = ((good.name, _wrong(good, answer)) for good, answer in zip(goods, answers, strict=True))
    return [f"{name}: {wrong}" for name, wrong in found if wrong]


def _wrong(good: Good, answer: Answer) -> str:
    if answer.came is not Came.ANSWER or answer.status not in ("200", "OK"):
        seen = answer.content[:200].decode(errors="replace")
        return f"{answer.came.value} {answer.status} {seen}"
    return good.check(answer)


class _Steady:
    """Right at first, by a tolerance; then always the same."""

    def __init__(
        self, wanted: Mapping[str, np.ndarray], read: Callable[[Answer], dict[str, np.ndarray]]
    ) -> None:
        self._wanted, self._read = wanted, read
        self._first: dict[str, np.ndarray] | None = None

    def __call__(self, answer: Answer) -> str:
        found = self._read(answer)
        if self._first is None:
            self._first = found
            return _differences(found, self._wanted, 1e-5)
        return _differences(found, self._first, 0.0)


def _differences(
    found: Mapping[str, np.ndarray], wanted: Mapping[str, np.ndarray], tolerance: float
) -> str:
    if found.keys() != wanted.keys():
        return f"outputs {sorted(found)} instead of {sorted(wanted)}"
    for name, array in wanted.items():
        if found[name].shape != array.shape:
            return f"{name} has shape {found[name].shape} instead of {array.shape}"
        if not np.allclose(found[name], array, rtol=tolerance, atol=tolerance):
            return f"{name} is {found[name].ravel()[:8]} instead of {array.ravel()[:8]}"
    return ""


def _json_is(wanted: object) -> Check:
    def check(answer: Answer) -> str:
        found = json.loads(answer.content)
        return "" if found == wanted else f"{found} instead of {wanted}"

    return check


def _tensors_are(wanted: Mapping[str, np.ndarray]) -> Check:
    return lambda answer: _differences(_tensors_in(answer), wanted, 0.0)


def _tensors_in(answer: Answer) -> dict[str, np.ndarray]:
    outputs = PredictResponse.FromString(answer.content).outputs
    return {name: from_proto(outputs[name]) for name in outputs}


def _rows_in_json(answer: Answer) -> dict[str, np.ndarray]:
    rows = json.loads(answer.content)["predictions"]
    return {name: np.array([row[name] for row in rows], np.float32) for name in rows[0]}


def _rest(model: str, body: Any) -> Input:
    path = f"/v1/models/{model}:predict".encode()
    return Input(http.API, request(b"POST", path, json.dumps(body).encode()))


def _rpc(model: str, inputs: Mapping[str, np.ndarray]) -> Input:
    message = PredictRequest()
    message.model_spec.name = model
    for name, array in inputs.items():
        message.inputs[name].CopyFrom(to_proto(array))
    return Input("Predict", message.SerializeToString())
