"""The compiled gRPC interface is what its source says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import serving.torchserve
from serving.torchserve import inference_pb2

PACKAGE = Path(serving.torchserve.__file__).parent
ROOT = PACKAGE.parent.parent
SOURCE = "serving/torchserve/inference.proto"


def test_compiling_again_gives_the_same_bytes(tmp_path):
    command = [sys.executable, "-m", "grpc_tools.protoc", "-I."]
    command += [f"--python_out={tmp_path}", f"--grpc_python_out={tmp_path}", SOURCE]
    subprocess.run(command, cwd=ROOT, check=True)
    for name in ("inference_pb2.py", "inference_pb2_grpc.py"):
        made = tmp_path / "serving" / "torchserve" / name
        assert made.read_bytes() == (PACKAGE / name).read_bytes(), "run `make protos`"


def test_names_and_numbers_are_torchserves():
    """Facts, from inference.proto in TorchServe's source repository."""
    descriptor = inference_pb2.DESCRIPTOR
    assert descriptor.package == "org.pytorch.serve.grpc.inference"
    service = descriptor.services_by_name["InferenceAPIsService"]
    assert [method.name for method in service.methods] == ["Ping", "Predictions"]
    numbers = {
        message.name: {field.name: field.number for field in message.fields}
        for message in descriptor.message_types_by_name.values()
    }
    assert numbers == {
        "PredictionsRequest": {"model_name": 1, "model_version": 2, "input": 3},
        "PredictionResponse": {"prediction": 1},
        "TorchServeHealthResponse": {"health": 1},
    }
