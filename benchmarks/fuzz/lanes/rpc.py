"""gRPC: messages as bytes, many calls at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import grpc

from benchmarks.fuzz.inputs.input import Input
from benchmarks.fuzz.lanes.answer import Answer, Came

_PREDICTION, _MODEL = "tensorflow.serving.PredictionService", "tensorflow.serving.ModelService"

METHODS = {
    "Predict": f"/{_PREDICTION}/Predict",
    "Classify": f"/{_PREDICTION}/Classify",
    "Regress": f"/{_PREDICTION}/Regress",
    "MultiInference": f"/{_PREDICTION}/MultiInference",
    "GetModelMetadata": f"/{_PREDICTION}/GetModelMetadata",
    "GetModelStatus": f"/{_MODEL}/GetModelStatus",
    "Check": "/grpc.health.v1.Health/Check",
    "NoMethod": f"/{_PREDICTION}/NoMethod",
    "NoService": "/no.Service/Predict",
}
"""By kind of input. HandleReloadConfigRequest is not among them: an input that is right by chance would
take away the models that the good requests ask for. ``parsers`` has its configurations."""

AT_ONCE = 32

_OPTIONS = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1))


class RpcLane:
    """Calls one server.

    Args:
        address: ``host:port``.
        deadline_seconds: longest wait for an answer.
    """

    def __init__(self, address: str, deadline_seconds: float) -> None:
        self._deadline_seconds = deadline_seconds
        self._channel = grpc.insecure_channel(address, options=_OPTIONS)
        self._calls: dict[str, Any] = {
            kind: self._channel.unary_unary(path, None, None) for kind, path in METHODS.items()
        }

    def ask(self, inputs: Sequence[Input]) -> list[Answer]:
        found: list[Answer] = []
        for start in range(0, len(inputs), AT_ONCE):
            under_way = [self._send(each) for each in inputs[start : start + AT_ONCE]]
            found += [_answer_of(each) for each in under_way]
        return found

    def close(self) -> None:
        self._channel.close()

    def _send(self, sent: Input) -> Any:
        return self._calls[sent.kind].future(sent.content, timeout=self._deadline_seconds)


def _answer_of(call: Any) -> Answer:
    code, words = call.code(), (call.details() or "").encode(errors="replace")  # both wait
    if code is grpc.StatusCode.OK:
        return Answer(Came.ANSWER, code.name, call.result())
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return Answer(Came.NOTHING, code.name, words)
    if code is grpc.StatusCode.UNAVAILABLE:
        is_refused = b"Failed to connect" in words or b"failed to connect" in words
        return Answer(Came.REFUSED if is_refused else Came.CLOSED, code.name, words)
    return Answer(Came.ANSWER, code.name, words)
