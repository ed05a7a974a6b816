"""Every test of TF Serving's ``model_servers/tensorflow_model_server_test.py``, and ours for it.

``COVERED`` is the table; the tests below are those that no other module had. Two have none: one asks the
profiler over gRPC, one needs TensorFlow Text's operations, which the binary holds and TensorFlow's package
does not.
"""

from __future__ import annotations

import ast
import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
import pytest

from serving.process import ProcessServer
from serving.server import ServerSpec
from serving.tfserving.messages import (
    ClassificationRequest,
    MultiInferenceRequest,
    PredictionServiceStub,
    PredictRequest,
    RegressionRequest,
)
from serving.tfserving.tensor_proto import from_proto, to_proto

HERE = Path(__file__).parent
WRITER = HERE.parent / "yardstick_model_writer.py"
VERSION = 123
SECONDS = 60

COVERED = {
    "testGetModelStatus": "test_server.py::test_status",
    "testGetModelMetadata": "test_grpc_contract.py::test_metadata",
    "testClassify": "test_grpc_contract.py::test_classify_with_one_output",
    "testClassifyTf2": "test_yardstick.py::test_classify_tf2",
    "testRegress": "test_grpc_contract.py::test_regress",
    "testRegressTf2": "test_yardstick.py::test_regress_tf2",
    "testMultiInference": "test_grpc_contract.py::test_multi_inference",
    "testMultiInferenceTf2": "test_yardstick.py::test_multi_inference_tf2",
    "testPredictSavedModel": "test_server.py::test_an_output_filter",
    "testGoodModelConfig": "test_configuration.py::test_policies_and_labels",
    "testBadModelConfig": "test_refused_starts.py::test_a_file_that_cannot_be_served",
    "testModelConfigReload": "test_configuration.py::test_the_file_is_looked_at_again_and_again",
    "testModelConfigReloadWithZeroPollPeriod": (
        "test_configuration.py::test_without_the_flag_the_file_is_read_once"
    ),
    "testGoodGrpcChannelArgs": "test_listening.py::test_a_unix_socket_and_channel_arguments",
    "testClassifyREST": "test_rest_contract.py::test_classify",
    "testRegressREST": "test_rest_contract.py::test_regress",
    "testPredictREST": "test_rest_contract.py::test_half_plus_two",
    "testPredictColumnarREST": "test_rest_contract.py::test_half_plus_two",
    "testGetStatusREST": "test_rest_contract.py::test_both_are_laid_out_as_protobuf_prints_them",
    "testGetModelMetadataREST": (
        "test_rest_contract.py::test_both_are_laid_out_as_protobuf_prints_them"
    ),
    "testPrometheusEndpoint": "test_metrics.py::test_requests_over_both_protocols_are_counted",
    "testPredictUDS": "test_listening.py::test_a_socket_alone_is_enough",
    "testPredictOnTfLite": "test_yardstick.py::test_answers_to_two",
    "testPredictWithSignatureDefOnTfLite": "test_yardstick.py::test_tflite_with_a_signature",
    "test_tf_saved_model_save": "test_yardstick.py::test_answers_to_two",
    "test_tf_saved_model_save_multiple_signatures": "test_yardstick.py::test_answers_to_two",
    "test_sequential_keras_saved_model_save": "test_yardstick.py::test_answers_to_two",
    "test_distrat_sequential_keras_saved_model_save": "test_yardstick.py::test_answers_to_two",
    "test_profiler_service_with_valid_trace_request": "",
    "test_tf_text": "",
}


def test_the_table_names_tests_that_there_are() -> None:
    assert len(COVERED) == 30
    assert sum(not place for place in COVERED.values()) == 2
    for place in filter(None, COVERED.values()):
        module, _, name = place.partition("::")
        nodes = ast.walk(ast.parse((HERE / module).read_text()))
        assert name in {node.name for node in nodes if isinstance(node, ast.FunctionDef)}, place


@pytest.fixture(scope="module")
def serving(
    tmp_path_factory: pytest.TempPathFactory, embedded_spec: Callable[..., ServerSpec]
) -> Iterator[ServerSpec]:
    """All models of the writer in one server."""
    folder = tmp_path_factory.mktemp("yardstick")
    done = subprocess.run(
        [sys.executable, str(WRITER), str(folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    entries = (
        f'config {{ name: "{each.name}" base_path: "{each}" model_platform: "tensorflow" }}'
        for each in sorted(folder.iterdir())
    )
    config = folder / "models.config"
    config.write_text(f"model_config_list {{ {' '.join(entries)} }}")
    spec = embedded_spec("half", folder / "unused", folder / "work")
    flags = (f"--model_config_file={config}", "--prefer_tflite_model", "--num_tflite_pools=2")
    server = ProcessServer(replace(spec, command=(*spec.command, *flags)))
    server.start()
    try:
        server.wait_ready(SECONDS)
        yield spec
    finally:
        server.stop()


@pytest.fixture
def stub(serving: ServerSpec) -> Iterator[Any]:
    with grpc.insecure_channel(serving.address("grpc")) as channel:
        yield PredictionServiceStub(channel)


def name(spec: Any, signature: str) -> None:
    spec.name = "half"
    spec.signature_name = signature


def add_example(request: Any) -> None:
    example = request.input.example_list.examples.add()
    example.features.feature["x"].float_list.value.append(2.0)


def check_spec(spec: Any, signature: str) -> None:
    assert (spec.name, spec.signature_name) == ("half", signature)
    assert spec.version.value == VERSION


@pytest.mark.servers
def test_classify_tf2(stub: Any) -> None:
    request = ClassificationRequest()
    name(request.model_spec, "classify_x_to_y")
    add_example(request)
    answer = stub.Classify(request, timeout=SECONDS)
    [classification] = answer.result.classifications
    assert [(each.label, each.score) for each in classification.classes] == [("", 3.0)]
    check_spec(answer.model_spec, "classify_x_to_y")


@pytest.mark.servers
def test_regress_tf2(stub: Any) -> None:
    request = RegressionRequest()
    name(request.model_spec, "regress_x_to_y")
    add_example(request)
    answer = stub.Regress(request, timeout=SECONDS)
    assert [each.value for each in answer.result.regressions] == [3.0]
    check_spec(answer.model_spec, "regress_x_to_y")


@pytest.mark.servers
def test_multi_inference_tf2(stub: Any) -> None:
    request = MultiInferenceRequest()
    for kind in ("regress", "classify"):
        task = request.tasks.add(method_name=f"tensorflow/serving/{kind}")
        name(task.model_spec, f"{kind}_x_to_y")
    add_example(request)
    first, second = stub.MultiInference(request, timeout=SECONDS).results
    assert [each.value for each in first.regression_result.regressions] == [3.0]
    assert second.classification_result.classifications[0].classes[0].score == 3.0
    check_spec(first.model_spec, "regress_x_to_y")
    check_spec(second.model_spec, "classify_x_to_y")


@pytest.mark.servers
@pytest.mark.parametrize(
    ("model", "signature", "sent", "answer"),
    [
        pytest.param("product", "", [2.0], [12.0], id="test_tf_saved_model_save"),
        pytest.param("product", "", 2.0, 12.0, id="test_tf_saved_model_save-no-dimension"),
        pytest.param("constant", "", [2.0], 1.0, id="multiple_signatures-default"),
        pytest.param(
            "constant", "custom_signature_key", [2.0], 2.0, id="multiple_signatures-custom"
        ),
        pytest.param("lite", "", [[2.0]], [[3.0]], id="testPredictOnTfLite"),
        pytest.param("lite", "", [[2.0], [4.0]], [[3.0], [4.0]], id="testPredictOnTfLite-rows"),
        pytest.param("sequential", "", [[2.0]], [[2.0]], id="test_sequential_keras"),
        pytest.param("mirrored", "", [[2.0]], [[2.0]], id="test_distrat_sequential_keras"),
    ],
)
def test_answers_to_two(stub: Any, model: str, signature: str, sent: Any, answer: Any) -> None:
    """Whatever the one output is called: Keras 3 has a name of its own."""
    request = PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = model, signature
    request.inputs["x"].CopyFrom(to_proto(np.array(sent, np.float32)))
    told = stub.Predict(request, timeout=SECONDS)
    [output] = (from_proto(each) for each in told.outputs.values())
    assert output.tolist() == answer
    assert told.model_spec.version.value == VERSION
    assert told.model_spec.signature_name == (signature or "serving_default")


@pytest.mark.servers
def test_tflite_with_a_signature(serving: ServerSpec, stub: Any) -> None:
    """Names are the signature's; without one they are the tensors'."""
    request = PredictRequest(output_filter=["b"])
    request.model_spec.name = "lite_signed"
    request.inputs["a"].CopyFrom(to_proto(np.array([[2.0]], np.float32)))
    told = stub.Predict(request, timeout=SECONDS)
    assert from_proto(told.outputs["b"]).tolist() == [[3.0]]
    found = httpx.get(f"{serving.url('rest')}/v1/models/lite_signed/metadata", trust_env=False)
    definitions = found.json()["metadata"]["signature_def"]["signature_def"]
    assert list(definitions["serving_default"]["inputs"]) == ["a"]


@pytest.mark.servers
def test_tflite_refuses_what_its_model_cannot_take(stub: Any) -> None:
    """And answers the next request: the interpreter goes back to where it was taken from."""
    request = PredictRequest()
    request.model_spec.name = "lite"
    for wrong in ([[2.0] * 3], [[[[2.0]] * 5]]):
        request.inputs["x"].CopyFrom(to_proto(np.array(wrong, np.float32)))
        for _ in range(3):
            with contextlib.suppress(grpc.RpcError):
                stub.Predict(request, timeout=SECONDS)
    request.inputs["x"].CopyFrom(to_proto(np.array([[2.0]], np.float32)))
    [output] = stub.Predict(request, timeout=SECONDS).outputs.values()
    assert from_proto(output).tolist() == [[3.0]]


@pytest.mark.servers
def test_a_tflite_file_that_is_none_ends_the_server(
    tmp_path: Path, embedded_spec: Callable[..., ServerSpec]
) -> None:
    (tmp_path / "repository" / "1").mkdir(parents=True)
    (tmp_path / "repository" / "1" / "model.tflite").write_bytes(b"no model")
    spec = embedded_spec("lite", tmp_path / "repository", tmp_path / "work")
    done = subprocess.run(
        (*spec.command, "--prefer_tflite_model", "--max_num_load_retries=0"),
        env={**os.environ, **spec.environment},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 255
    assert "INVALID_ARGUMENT: Cannot build FlatBufferModel from buffer." in done.stdout
