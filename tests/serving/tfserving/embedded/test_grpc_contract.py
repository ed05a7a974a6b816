"""gRPC as TF Serving's services have it: examples, element types, defaults, health."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import httpx
import ml_dtypes
import numpy as np
import pytest

from serving.process import ProcessServer
from serving.server import ServerSpec
from serving.tfserving.element_types import ELEMENT_TYPES, STRING, ElementType
from serving.tfserving.embedded.rpc.health import HealthCheckRequest, HealthCheckResponse
from serving.tfserving.messages import (
    ClassificationRequest,
    GetModelMetadataRequest,
    Input,
    MultiInferenceRequest,
    PredictionServiceStub,
    PredictRequest,
    RegressionRequest,
    SignatureDefMap,
    TensorProto,
)
from serving.tfserving.repository import publish
from serving.tfserving.tensor_proto import from_proto, to_proto

pytestmark = pytest.mark.servers

MODEL = "half"
CLASSIFY, REGRESS = "tensorflow/serving/classify", "tensorflow/serving/regress"
EMPTY_AND_HUGE = to_proto(np.empty((2, 0, 3, 2**32 + 1), np.float32))
NAMES = {"float": "float32", "double": "float64", "half": "float16"}


@pytest.fixture
def channel(half_server: ProcessServer) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(half_server.spec.address("grpc")) as channel:
        yield channel


@pytest.fixture
def stub(channel: grpc.Channel) -> Any:
    return PredictionServiceStub(channel)


@pytest.fixture(scope="module")
def strict_server(
    examples_model: Path,
    tmp_path_factory: pytest.TempPathFactory,
    embedded_spec: Callable[..., ServerSpec],
) -> Iterator[ProcessServer]:
    folder = tmp_path_factory.mktemp("strict")
    publish(examples_model, folder / "repository", 1)
    (folder / "monitoring").write_text("prometheus_config { enable: true path: '/m' }")
    spec = embedded_spec(MODEL, folder / "repository", folder / "work")
    extra = (
        "--enable_signature_method_name_check",
        "--enable_serialization_as_tensor_content",
        f"--monitoring_config_file={folder / 'monitoring'}",
    )
    server = ProcessServer(replace(spec, command=(*spec.command, *extra)))
    server.start()
    try:
        server.wait_ready(60)
        yield server
    finally:
        server.stop()


def examples(*values: float, context: dict[str, bytes] | None = None) -> Any:
    found = Input()
    into = found.example_list
    if context is not None:
        into = found.example_list_with_context
        for name, text in context.items():
            into.context.features.feature[name].bytes_list.value.append(text)
    for value in values:
        into.examples.add().features.feature["x"].float_list.value.append(value)
    return found


def request(kind: Any, signature: str, sent: Any) -> Any:
    made = kind(input=sent)
    made.model_spec.name, made.model_spec.signature_name = MODEL, signature
    return made


def predict_request(signature: str, **inputs: Any) -> Any:
    made = PredictRequest()
    made.model_spec.name, made.model_spec.signature_name = MODEL, signature
    for name, value in inputs.items():
        proto = value if isinstance(value, TensorProto) else to_proto(np.asarray(value))
        made.inputs[name].CopyFrom(proto)
    return made


def refusal(call: Callable[..., Any], sent: Any) -> tuple[str, str]:
    with pytest.raises(grpc.RpcError) as refused:
        call(sent, timeout=30)
    return refused.value.code().name, refused.value.details() or ""


class TestExamples:
    """Classify, Regress and MultiInference."""

    def test_classify(self, stub: Any) -> None:
        sent = request(
            ClassificationRequest, "classify_both", examples(1, 2, context={"name": b"c"})
        )
        answer = stub.Classify(sent, timeout=30)
        assert [
            [(each.label, each.score) for each in row.classes]
            for row in answer.result.classifications
        ] == [[("c0", 2.5), ("other", -2.5)], [("c0", 3.0), ("other", -3.0)]]
        spec = answer.model_spec
        assert (spec.name, spec.version.value, spec.signature_name) == (MODEL, 123, "classify_both")

    def test_classify_with_one_output(self, stub: Any) -> None:
        scores = stub.Classify(request(ClassificationRequest, "classify_x_to_y", examples(1)))
        assert [c.score for c in scores.result.classifications[0].classes] == [2.5]
        names = stub.Classify(request(ClassificationRequest, "classify_names", examples(1)))
        assert [c.label for c in names.result.classifications[0].classes] == ["?0", "other"]

    @pytest.mark.parametrize("name", ["regress_x_to_y", "regress_flat"])
    def test_regress(self, stub: Any, name: str) -> None:
        answer = stub.Regress(request(RegressionRequest, name, examples(1, 80)), timeout=30)
        assert [each.value for each in answer.result.regressions] == [2.5, 42.0]
        assert answer.model_spec.signature_name == name

    @pytest.mark.parametrize(
        ("name", "words"),
        [
            ("x", "No signature was found with the name: x"),
            ("pair", "Expected one input Tensor."),
            ("same_float32", "No classification inputs found in SignatureDef: inputs {"),
            ("classify_renamed", "Expected classification signature outputs to contain at least "
             'one of "classes" or "scores". Signature was: '),
            ("classify_mismatch",
             "Tensors class and score should match in dim_size(1). Got 2 vs. 1"),
            ("classify_numbers", "Expected classes Tensor of DT_STRING. Got: DT_FLOAT"),
            ("classify_flat",
             "Expected Tensor shape: [batch_size num_classes] but got [1]"),
        ],
    )  # fmt: skip
    def test_classify_refuses(self, stub: Any, name: str, words: str) -> None:
        code, details = refusal(stub.Classify, request(ClassificationRequest, name, examples(1)))
        assert (code, details[: len(words)]) == ("INVALID_ARGUMENT", words)

    @pytest.mark.parametrize(
        ("name", "words"),
        [
            ("x", "No signature was found with the name: x"),
            ("pair", "Expected one input Tensor."),
            ("classify_both", "Expected one output Tensor."),
            ("regress_other", "No regression inputs found in SignatureDef: "),
            ("regress_renamed", "No regression outputs found in SignatureDef: "),
            ("regress_whole", "Expected output Tensor of DT_FLOAT.  Got: DT_INT64"),
            ("regress_none", "Input batch size did not match output batch size: 1 vs. 0"),
            ("regress_wide", "Expected output Tensor shape to be either [batch_size] or "
             "[batch_size, 1] but got [1,2]"),
        ],
    )  # fmt: skip
    def test_regress_refuses(self, stub: Any, name: str, words: str) -> None:
        code, details = refusal(stub.Regress, request(RegressionRequest, name, examples(1)))
        assert (code, details[: len(words)]) == ("INVALID_ARGUMENT", words)

    @pytest.mark.parametrize("sent", [Input(), examples(), examples(context={})])
    def test_no_examples(self, stub: Any, sent: Any) -> None:
        found = refusal(stub.Regress, request(RegressionRequest, "regress_x_to_y", sent))
        assert found == ("INVALID_ARGUMENT", "Input is empty.")

    def test_no_model_spec(self, stub: Any) -> None:
        wanted = ("INVALID_ARGUMENT", "Missing ModelSpec")
        assert refusal(stub.Classify, ClassificationRequest()) == wanted
        assert refusal(stub.Regress, RegressionRequest()) == wanted
        assert refusal(stub.Predict, PredictRequest()) == wanted
        assert refusal(stub.GetModelMetadata, GetModelMetadataRequest()) == wanted

    def test_long_messages_are_cut(self, stub: Any) -> None:
        sent = request(ClassificationRequest, "y" * 3000, examples(1))
        details = refusal(stub.Classify, sent)[1]
        assert len(details) == 1024 + len("...TRUNCATED") and details.endswith("...TRUNCATED")

    def several(self, *tasks: tuple[str, str, str]) -> Any:
        made = MultiInferenceRequest(input=examples(80))
        for name, signature, method in tasks:
            task = made.tasks.add(method_name=method)
            task.model_spec.name, task.model_spec.signature_name = name, signature
        return made

    def test_multi_inference(self, stub: Any) -> None:
        sent = self.several(
            (MODEL, "regress_x_to_y", REGRESS), (MODEL, "classify_x_to_y", CLASSIFY)
        )
        first, second = stub.MultiInference(sent, timeout=30).results
        assert [each.value for each in first.regression_result.regressions] == [42.0]
        [row] = second.classification_result.classifications
        assert [each.score for each in row.classes] == [42.0]
        assert second.model_spec.signature_name == "classify_x_to_y"
        assert second.model_spec.version.value == 123

    @pytest.mark.parametrize(
        ("tasks", "code", "words"),
        [
            ([], "INVALID_ARGUMENT", "ModelSpec has no name specified."),
            ([("nobody", "", REGRESS)], "NOT_FOUND", "Servable not found for request: "
             "Latest(nobody)"),
            ([(MODEL, "regress_flat", REGRESS), ("", "x", REGRESS)], "INVALID_ARGUMENT",
             "Found ModelSpec with an empty model name."),
            ([(MODEL, "regress_flat", REGRESS), ("other", "x", REGRESS)], "INVALID_ARGUMENT",
             "All ModelSpecs in a MultiInferenceRequest must access the same model name."),
            ([(MODEL, "regress_flat", REGRESS)] * 2, "INVALID_ARGUMENT",
             "Duplicate evaluation of signature: regress_flat"),
            ([(MODEL, "x", REGRESS)], "INVALID_ARGUMENT",
             "Requested signature not found in model graph: x"),
            ([(MODEL, "regress_flat", "predict")], "UNIMPLEMENTED",
             "Unsupported signature method_name: predict"),
            ([(MODEL, "regress_flat", CLASSIFY)], "INVALID_ARGUMENT",
             "Expected classification signature outputs to contain at least one of"),
        ],
    )  # fmt: skip
    def test_multi_inference_refuses(
        self, stub: Any, tasks: list[tuple[str, str, str]], code: str, words: str
    ) -> None:
        found = refusal(stub.MultiInference, self.several(*tasks))
        assert (found[0], found[1][: len(words)]) == (code, words)


def some_values(kind: ElementType) -> np.ndarray:
    if kind is STRING:
        return np.array([[b"", b"\xff\x00"], [b"a" * 300, b"b"]], object)
    if kind.dtype.names:
        return np.array([[0, 1], [100, 7]], kind.stored).view(kind.dtype)
    return np.array([[0, 1], [3, 7]], np.float32).astype(kind.dtype)


class TestElementTypes:
    """Every one that the session takes, in both of the wire's spellings."""

    @pytest.mark.parametrize("as_content", [False, True])
    @pytest.mark.parametrize("kind", ELEMENT_TYPES, ids=lambda kind: kind.name)
    def test_values_come_back(self, stub: Any, kind: ElementType, as_content: bool) -> None:
        values = some_values(kind)
        sent = to_proto(values, as_content, strings_too=True)
        name = f"same_{NAMES.get(kind.name, kind.name)}"
        found = stub.Predict(predict_request(name, value=sent), timeout=30).outputs["value"]
        assert found.dtype == kind.number
        assert not found.tensor_content
        back = from_proto(found)
        assert (back.dtype, back.tolist()) == (values.dtype, values.tolist())

    @pytest.mark.parametrize(
        ("kind", "fields", "values"),
        [
            (1, {}, [0.0, 0.0, 0.0]),
            (1, {"float_val": [1, 2]}, [1.0, 2.0, 2.0]),
            (1, {"float_val": [1, 2, 3, 4]}, [1.0, 2.0, 3.0]),
            (4, {"int_val": [300, -1]}, [44, 255, 255]),
            (7, {}, [b"", b"", b""]),
            (7, {"string_val": [b"a"]}, [b"a"] * 3),
            (7, {"tensor_content": b"\x01\x00\x02abc"}, [b"a", b"", b"bc"]),
            (8, {"scomplex_val": [1, 2]}, [1 + 2j] * 3),
            (10, {"bool_val": [True, False]}, [True, False, False]),
            (14, {"half_val": [16256]}, [ml_dtypes.bfloat16(1)] * 3),
            (19, {"half_val": [15360]}, [np.float16(1)] * 3),
        ],
    )
    def test_fewer_and_more_values_than_elements(
        self, stub: Any, kind: int, fields: dict[str, Any], values: list[Any]
    ) -> None:
        [found] = [each for each in ELEMENT_TYPES if each.number == kind]
        sent = TensorProto(dtype=kind, **fields)
        sent.tensor_shape.dim.add(size=3)
        name = f"same_{NAMES.get(found.name, found.name)}"
        answer = stub.Predict(predict_request(name, value=sent), timeout=30)
        assert from_proto(answer.outputs["value"]).tolist() == values

    def test_no_elements(self, stub: Any) -> None:
        sent = to_proto(np.zeros((2, 0), np.float32))
        answer = stub.Predict(predict_request("same_float32", value=sent), timeout=30)
        assert from_proto(answer.outputs["value"]).shape == (2, 0)

    @pytest.mark.parametrize(
        "change",
        [
            lambda it: setattr(it, "tensor_content", b"123"),
            lambda it: setattr(it, "dtype", 0),
            lambda it: setattr(it, "dtype", 20),
            lambda it: setattr(it.tensor_shape, "unknown_rank", True),
            lambda it: setattr(it.tensor_shape.dim[0], "size", -1),
            lambda it: setattr(it.tensor_shape.dim[0], "size", 2**62),
            lambda it: it.tensor_shape.dim.extend([it.tensor_shape.dim[0]] * 300),
            lambda it: it.CopyFrom(EMPTY_AND_HUGE),
        ],
    )
    def test_what_cannot_be_read(self, stub: Any, change: Callable[[Any], Any]) -> None:
        sent = to_proto(np.ones(2, np.float32), as_content=False)
        change(sent)
        found = refusal(stub.Predict, predict_request("same_float32", value=sent))
        assert found == ("INVALID_ARGUMENT", "tensor parsing error: value")


class TestPredict:
    """What else a PredictRequest can say."""

    def test_a_default_stands_for_what_is_missing(self, stub: Any) -> None:
        answer = stub.Predict(predict_request("optional", number=np.float32(3)), timeout=30)
        assert from_proto(answer.outputs["number"]) == 3.0
        found = refusal(stub.Predict, predict_request("optional", word=b"x"))
        assert found == (
            "INVALID_ARGUMENT",
            "Signature input alias: number(feed name: number:0) not found in request and "
            "no default value provided. Inputs expected to be in the request {word}, or default "
            "input alias set: word",
        )

    @pytest.mark.parametrize(
        ("inputs", "words"),
        [
            ({}, "input size does not match signature: 0!=1 len({}) != len({x}). "
             "Sent extra: {}. Missing but required: {x}."),
            ({"x": np.float32(1), "y": np.float32(1)},
             "input size does not match signature: 2!=1 len({x,y}) != len({x}). "
             "Sent extra: {y}. Missing but required: {}."),
            ({"y": np.float32(1)}, "Signature input alias: x(feed name: x:0) not found in request "
             "and no default value provided. Inputs expected to be in the request {y}, "
             "or default input alias set: "),
            ({"x": np.float64(1)}, "Expects arg[0] to be float but double is provided"),
        ],
    )  # fmt: skip
    def test_refusals(self, stub: Any, inputs: dict[str, Any], words: str) -> None:
        found = refusal(stub.Predict, predict_request("serving_default", **inputs))
        assert found == ("INVALID_ARGUMENT", words)

    def test_the_filter_is_checked_before_the_types(self, stub: Any) -> None:
        sent = predict_request("serving_default", x=np.float64(1))
        sent.output_filter.extend(["y", "y"])
        assert refusal(stub.Predict, sent)[1] == "duplicate output tensor alias: y"
        sent.output_filter[0] = "z"
        assert refusal(stub.Predict, sent)[1].startswith(
            "output tensor alias not found in signature: z Outputs expected to be in the set {y}."
        )

    def test_a_shape_that_the_signature_does_not_declare(self, stub: Any) -> None:
        answer = stub.Predict(predict_request("", x=np.float32(2)), timeout=30)
        assert from_proto(answer.outputs["y"]).tolist() == 3.0
        assert answer.model_spec.signature_name == "serving_default"

    def test_metadata(self, stub: Any) -> None:
        sent = GetModelMetadataRequest(metadata_field=["signature_def"])
        sent.model_spec.name = MODEL
        answer = stub.GetModelMetadata(sent, timeout=30)
        signatures = SignatureDefMap()
        assert answer.metadata["signature_def"].Unpack(signatures)
        assert signatures.signature_def["regress_x_to_y"].method_name == REGRESS
        sent.metadata_field.append("else")
        assert refusal(stub.GetModelMetadata, sent) == (
            "INVALID_ARGUMENT",
            "Metadata field else is not supported",
        )
        del sent.metadata_field[:]
        assert refusal(stub.GetModelMetadata, sent)[1] == (
            "GetModelMetadataRequest must specify at least one metadata_field"
        )

    def test_an_output_that_is_an_input_too(self, stub: Any) -> None:
        """It cannot be fetched, and the others can."""
        sent = predict_request("handed_through", number=np.float32([1.5]), word=np.array(["a"]))
        sent.output_filter[:] = ["b"]
        assert from_proto(stub.Predict(sent, timeout=30).outputs["b"]).tolist() == [3.0]
        sent.output_filter.append("c")
        assert refusal(stub.Predict, sent) == (
            "INVALID_ARGUMENT",
            "number:0 is both fed and fetched.",
        )

    @pytest.mark.parametrize("sent", [b"\xff", b"\n\x03\n\x01\xff"])
    def test_what_is_no_message(self, channel: grpc.Channel, sent: bytes) -> None:
        for method in ("Predict", "Classify", "GetModelMetadata"):
            call = channel.unary_unary(
                f"/tensorflow.serving.PredictionService/{method}",
                request_serializer=None,
                response_deserializer=None,
            )
            assert refusal(call, sent) == ("INTERNAL", "")

    def test_a_method_that_there_is_not(self, channel: grpc.Channel) -> None:
        call = channel.unary_unary(
            "/tensorflow.serving.SessionService/SessionRun",
            request_serializer=None,
            response_deserializer=None,
        )
        assert refusal(call, b"")[0] == "UNIMPLEMENTED"


class TestHealth:
    """grpc.health.v1."""

    def call(self, channel: grpc.Channel, method: str) -> Any:
        make = channel.unary_unary if method == "Check" else channel.unary_stream
        return make(
            f"/grpc.health.v1.Health/{method}",
            request_serializer=HealthCheckRequest.SerializeToString,
            response_deserializer=HealthCheckResponse.FromString,
        )

    @pytest.mark.parametrize("service", ["", "PredictionService", "ModelService"])
    def test_check(self, channel: grpc.Channel, service: str) -> None:
        sent = HealthCheckRequest(service=service)
        assert self.call(channel, "Check")(sent, timeout=30).status == 1

    def test_an_unknown_service(self, channel: grpc.Channel) -> None:
        found = refusal(self.call(channel, "Check"), HealthCheckRequest(service="x"))
        assert found == ("NOT_FOUND", "service name unknown")

    @pytest.mark.parametrize(("service", "status"), [("", 1), ("x", 3)])
    def test_watch(self, channel: grpc.Channel, service: str, status: int) -> None:
        stream = self.call(channel, "Watch")(HealthCheckRequest(service=service), timeout=30)
        assert next(stream).status == status
        stream.cancel()


class TestFlags:
    """The same with other flags."""

    @pytest.fixture
    def strict(self, strict_server: ProcessServer) -> Iterator[Any]:
        with grpc.insecure_channel(strict_server.spec.address("grpc")) as channel:
            yield PredictionServiceStub(channel)

    @pytest.fixture
    def http(self, strict_server: ProcessServer) -> Iterator[httpx.Client]:
        url = strict_server.spec.url("rest")
        with httpx.Client(base_url=url, trust_env=False) as client:
            yield client

    def test_method_names_count(self, strict: Any, http: httpx.Client) -> None:
        words = (
            "Expected prediction signature method_name to be one of {tensorflow/serving/predict, "
            "tensorflow/serving/classify, tensorflow/serving/regress}. "
            "Was: tensorflow/serving/else"
        )
        sent = predict_request("other_method", x=np.float32(1))
        assert refusal(strict.Predict, sent) == ("INTERNAL", words)
        body = {"signature_name": "other_method", "inputs": 1}
        answer = http.post(f"/v1/models/{MODEL}:predict", json=body)
        assert (answer.status_code, answer.json()["error"]) == (500, words)
        for call, kind, name, wanted, was in (
            (strict.Regress, RegressionRequest, "classify_both", "regress", "classify"),
            (strict.Classify, ClassificationRequest, "regress_flat", "classify", "regress"),
        ):
            found = refusal(call, request(kind, name, examples(1)))
            verb = {"regress": "regression", "classify": "classification"}[wanted]
            assert found[1] == (
                f"Expected {verb} signature method_name to be tensorflow/serving/{wanted}. "
                f"Was: tensorflow/serving/{was}"
            )
        strict.Regress(request(RegressionRequest, "regress_flat", examples(1)), timeout=30)
        strict.Predict(predict_request("", x=np.float32(1)), timeout=30)

    def test_without_the_flag_they_do_not(self, stub: Any) -> None:
        stub.Predict(predict_request("other_method", x=np.float32(1)), timeout=30)

    @pytest.mark.parametrize("kind", ELEMENT_TYPES, ids=lambda kind: kind.name)
    def test_answers_as_content(self, strict: Any, kind: ElementType) -> None:
        values = some_values(kind)
        name = f"same_{NAMES.get(kind.name, kind.name)}"
        found = strict.Predict(predict_request(name, value=to_proto(values)), timeout=30)
        assert found.outputs["value"].tensor_content
        assert from_proto(found.outputs["value"]).tolist() == values.tolist()

    def test_calls_are_counted(self, strict: Any, http: httpx.Client) -> None:
        strict.Classify(request(ClassificationRequest, "classify_both", examples(1)), timeout=30)
        strict.Regress(request(RegressionRequest, "regress_flat", examples(1)), timeout=30)
        page = http.get("/m").text
        for api in ("Classify", "Regress"):
            for labels in (f'API="{api}",entrypoint="GRPC"', f'API="{api}",runtime="TF1"'):
                assert f'model_name="{MODEL}",{labels}' in page
        answer = http.get("/m?x=1")
        assert (answer.status_code, answer.text) == (
            400,
            "Unexpected path: /m?x=1. Should be /m",
        )

    def test_no_health_service_and_no_cors_without_their_flags(
        self, strict_server: ProcessServer, http: httpx.Client
    ) -> None:
        with grpc.insecure_channel(strict_server.spec.address("grpc")) as channel:
            check = TestHealth().call(channel, "Check")
            assert refusal(check, HealthCheckRequest())[0] == "UNIMPLEMENTED"
        answer = http.options("/v1/models/x", headers={"Origin": "http://a"})
        assert answer.status_code == 200
        assert "access-control-allow-origin" not in answer.headers
