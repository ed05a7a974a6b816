"""The Open Inference Protocol's ModelInfer, as much as is needed: MLServer's gRPC.

Names and numbers are those of
https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/open_inference_grpc.proto.
The messages are described here because MLServer's own stubs live in MLServer's environment only.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from benchmarks.server.subject import Subject

METHOD = "/inference.GRPCInferenceService/ModelInfer"

_KINDS = {
    "string": FieldDescriptorProto.TYPE_STRING,
    "int64": FieldDescriptorProto.TYPE_INT64,
    "float": FieldDescriptorProto.TYPE_FLOAT,
    "bytes": FieldDescriptorProto.TYPE_BYTES,
}
# message -> field -> (number, kind, repeated)
_MESSAGES: dict[str, dict[str, tuple[int, str, bool]]] = {
    "Contents": {"fp32_contents": (6, "float", True)},
    "Tensor": {
        "name": (1, "string", False),
        "datatype": (2, "string", False),
        "shape": (3, "int64", True),
        "contents": (5, "Contents", False),
    },
    "Request": {
        "model_name": (1, "string", False),
        "id": (3, "string", False),
        "inputs": (5, "Tensor", True),
        "raw_input_contents": (7, "bytes", True),
    },
    "Response": {"outputs": (5, "Tensor", True), "raw_output_contents": (6, "bytes", True)},
}


def _message_classes() -> dict[str, Any]:
    file = FileDescriptorProto(name="bench_inference.proto", package="bench", syntax="proto3")
    for message, fields in _MESSAGES.items():
        described = file.message_type.add(name=message)
        for name, (number, kind, repeated) in fields.items():
            field = described.field.add(name=name, number=number)
            field.label = field.LABEL_REPEATED if repeated else field.LABEL_OPTIONAL
            field.type = _KINDS.get(kind, field.TYPE_MESSAGE)
            if kind not in _KINDS:
                field.type_name = f".bench.{kind}"
    pool = DescriptorPool()
    pool.Add(file)
    return {
        name: GetMessageClass(pool.FindMessageTypeByName(f"bench.{name}")) for name in _MESSAGES
    }


_CLASSES = _message_classes()


def write(subject: Subject, rows: np.ndarray) -> bytes:
    """ModelInferRequest with raw contents, the quicker of its two forms.

    With an id of its own: else every answer has a new one, and would have to be read each time.
    """
    request = _CLASSES["Request"](model_name=subject.name, id="1")
    request.inputs.add(name=subject.input_name, datatype="FP32", shape=rows.shape)
    request.raw_input_contents.append(rows.tobytes())
    return bytes(request.SerializeToString())


def read(_: Subject, body: bytes) -> list[np.ndarray]:
    """The outputs of a ModelInferResponse in either form, in the order of their names."""
    answer = _CLASSES["Response"].FromString(body)
    found = {}
    for at, tensor in enumerate(answer.outputs):
        if answer.raw_output_contents:
            numbers = np.frombuffer(answer.raw_output_contents[at], np.float32)
        else:
            numbers = np.array(tensor.contents.fp32_contents, np.float32)
        found[tensor.name] = numbers.reshape(tuple(tensor.shape))
    return [found[name] for name in sorted(found)]
