"""TF Serving's messages and stubs from the ``tensorflow-serving-api`` wheel, TensorFlow left out.

The names are those of the ``.proto`` files in
https://github.com/tensorflow/serving/tree/master/tensorflow_serving/apis.
"""

from __future__ import annotations

from pathlib import Path

from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from serving.tfserving.lean_tensorflow import parts_of_tensorflow

with parts_of_tensorflow():
    from tensorflow.core.framework.tensor_pb2 import TensorProto
    from tensorflow.core.protobuf.meta_graph_pb2 import MetaGraphDef, SignatureDef, TensorInfo
    from tensorflow_serving.apis import prediction_service_pb2
    from tensorflow_serving.apis.get_model_metadata_pb2 import (
        GetModelMetadataRequest,
        GetModelMetadataResponse,
        SignatureDefMap,
    )
    from tensorflow_serving.apis.get_model_status_pb2 import (
        GetModelStatusRequest,
        GetModelStatusResponse,
        ModelVersionStatus,
    )
    from tensorflow_serving.apis.model_pb2 import ModelSpec
    from tensorflow_serving.apis.model_service_pb2_grpc import (
        ModelServiceServicer,
        ModelServiceStub,
        add_ModelServiceServicer_to_server,
    )
    from tensorflow_serving.apis.predict_pb2 import PredictRequest, PredictResponse
    from tensorflow_serving.apis.prediction_service_pb2_grpc import (
        PredictionServiceServicer,
        PredictionServiceStub,
        add_PredictionServiceServicer_to_server,
    )

__all__ = [
    "GetModelMetadataRequest",
    "GetModelMetadataResponse",
    "GetModelStatusRequest",
    "GetModelStatusResponse",
    "MetaGraphDef",
    "ModelServiceServicer",
    "ModelServiceStub",
    "ModelSpec",
    "ModelVersionStatus",
    "PredictRequest",
    "PredictResponse",
    "PredictionServiceServicer",
    "PredictionServiceStub",
    "SignatureDef",
    "SignatureDefMap",
    "TensorInfo",
    "TensorProto",
    "add_ModelServiceServicer_to_server",
    "add_PredictionServiceServicer_to_server",
    "write_protoset",
]


def write_protoset(path: Path) -> Path:
    """Write PredictionService and all it needs as a ``protoset``, for ``grpcurl -protoset``.

    TF Serving has no gRPC reflection, and the wheel carries no ``.proto`` files.
    """
    files: dict[str, FileDescriptor] = {}
    _collect(prediction_service_pb2.DESCRIPTOR, files)
    found = FileDescriptorSet()
    for descriptor in files.values():
        descriptor.CopyToProto(found.file.add())
    path.write_bytes(found.SerializeToString())
    return path


def _collect(descriptor: FileDescriptor, files: dict[str, FileDescriptor]) -> None:
    """Dependencies first, each once."""
    if descriptor.name in files:
        return
    for dependency in descriptor.dependencies:
        _collect(dependency, files)
    files[descriptor.name] = descriptor
