"""The commands that people paste, and the interface file that grpcurl reads."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto, FileDescriptorSet
from google.protobuf.json_format import Parse

from serving.tfserving.client import PREDICT, GrpcClient, RestClient
from serving.tfserving.messages import ModelSpec, PredictRequest, PredictResponse, TensorProto
from serving.tfserving.tensor_proto import ELEMENT_TYPES, from_proto

Reference = dict[str, np.ndarray]


def option(words: list[str], name: str) -> str:
    return words[words.index(name) + 1]


@pytest.mark.servers
@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_curl_line_works_as_it_stands(
    rest: RestClient, reference: Reference, tmp_path: Path
) -> None:
    line = rest.paste_line({"image": reference["image"][:1]}, tmp_path / "sample.json")
    done = subprocess.run(line, shell=True, capture_output=True, check=True, timeout=60)
    [row] = json.loads(done.stdout)["predictions"]
    np.testing.assert_allclose(row["logits"], reference["logits"][0], atol=1e-5)


@pytest.mark.servers
@pytest.mark.skipif(shutil.which("grpcurl") is None, reason="grpcurl is not installed")
def test_the_grpcurl_line_works_as_it_stands(
    grpc_client: GrpcClient, reference: Reference, tmp_path: Path
) -> None:
    line = grpc_client.paste_line({"image": reference["image"][:1]}, tmp_path / "sample.json")
    done = subprocess.run(line, shell=True, capture_output=True, check=True, timeout=60)
    logits = json.loads(done.stdout)["outputs"]["logits"]["floatVal"]
    np.testing.assert_allclose(logits, reference["logits"][0], atol=1e-5)


@pytest.mark.servers
def test_the_grpcurl_line_holds_the_request(
    grpc_client: GrpcClient, reference: Reference, tmp_path: Path
) -> None:
    image, sample = reference["image"][:2], tmp_path / "sample.json"
    words = shlex.split(grpc_client.paste_line({"image": image}, sample))
    request = Parse(sample.read_text(), PredictRequest())
    assert words[-2:] == ["<", str(sample)]
    np.testing.assert_array_equal(from_proto(request.inputs["image"]), image)
    assert (Path(option(words, "-import-path")) / option(words, "-proto")).is_file()


@pytest.fixture(scope="module")
def interface(tmp_path_factory: pytest.TempPathFactory) -> FileDescriptorProto:
    """``prediction.proto`` as the compiler understands it."""
    folder = Path(sys.modules[GrpcClient.__module__].__file__ or "").parent
    compiled = tmp_path_factory.mktemp("proto") / "prediction.binpb"
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{folder}"]
    subprocess.run(
        [*command, f"--descriptor_set_out={compiled}", "prediction.proto"], check=True, timeout=60
    )
    [file] = FileDescriptorSet.FromString(compiled.read_bytes()).file
    return file


@pytest.mark.parametrize(
    "original",
    [each.DESCRIPTOR for each in (PredictRequest, PredictResponse, ModelSpec, TensorProto)]
    + [TensorProto.DESCRIPTOR.fields_by_name["tensor_shape"].message_type],
    ids=lambda original: original.name,
)
def test_the_interface_file_has_tf_servings_fields(
    interface: FileDescriptorProto, original: Descriptor
) -> None:
    [ours] = [message for message in interface.message_type if message.name == original.name]
    assert fields_of(ours) <= fields_of(proto_of(original))


def test_the_interface_file_has_tf_servings_element_types(interface: FileDescriptorProto) -> None:
    [data_type] = interface.enum_type
    numbers = TensorProto.DESCRIPTOR.fields_by_name["dtype"].enum_type.values_by_name
    ours = {value.name: value.number for value in data_type.value}
    assert ours == {name: numbers[name].number for name in ours}
    assert set(ours.values()) == {0, *(kind.number for kind in ELEMENT_TYPES)}


def test_the_interface_file_has_the_method(interface: FileDescriptorProto) -> None:
    [service] = interface.service
    assert f"{interface.package}.{service.name}/{service.method[0].name}" == PREDICT


def proto_of(descriptor: Descriptor) -> DescriptorProto:
    found = DescriptorProto()
    descriptor.CopyToProto(found)
    return found


def fields_of(message: DescriptorProto) -> set[tuple[str, int, int, int]]:
    return {(field.name, field.number, field.type, field.label) for field in message.field}
