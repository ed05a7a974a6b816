"""Messages of gRPC: requests for what is there and what is not, as bytes, whole and damaged."""

from __future__ import annotations

from random import Random
from typing import Any

from hypothesis import strategies as st

from benchmarks.fuzz.inputs.input import Input, Inputs
from benchmarks.fuzz.inputs.mutation import mutate
from benchmarks.fuzz.inputs.served import (
    HALF,
    LABEL,
    OF_EXAMPLES,
    PLACES,
    SIGNATURES,
    VERSIONS,
)
from benchmarks.fuzz.inputs.tensors import tensors
from benchmarks.fuzz.lanes.rpc import METHODS
from serving.tfserving.messages import (
    ClassificationRequest,
    GetModelMetadataRequest,
    GetModelStatusRequest,
    MultiInferenceRequest,
    PredictRequest,
    RegressionRequest,
)

WORDS = [
    *(b"\x00", b"\xff", b"\x80" * 10, b"\xff" * 9 + b"\x01", b"\x0a\x00", b"\x12\x00", b"\x08\x01"),
    *(
        b"\x0b",
        b"\x0c",
        b"\x07",
        b"\x1a\xff\xff\xff\xff\x07",
        b"\x0a\x04half",
        b"\x2d\x00\x00\x80\x7f",
    ),
    *(b"\x12\x02\x08\x01", b"\x22\x04\x00\x00\x80\x3f", b"\x1a\x02\x18\x01", b"\xf8\x07\x01"),
]
"""Tags, lengths and endings that mean something in some place."""

_ODD_NAMES = ["", "nobody", "half ", "é", "a/b", "x" * 2000, "serving_default", "\x00"]
_ANY_NAME = st.one_of(st.sampled_from(_ODD_NAMES), st.text(max_size=4))


@st.composite
def rpc_inputs(draw: st.DrawFn) -> list[Input]:
    """A message as it was meant, and the same damaged; to its own method, at times to another."""
    kind, message = draw(st.one_of(_predicts(), _predicts(), _of_examples(), _questions()))
    content = message.SerializeToString()
    random = Random(draw(st.integers(0, 2**32)))
    other = random.choice(list(METHODS)) if random.random() < 0.1 else kind
    damaged = mutate(content, random, WORDS)
    third = random.randbytes(random.randrange(60)) if random.random() < 0.2 else damaged
    return [
        Input(other, content),
        Input(kind, damaged),
        Input(kind, mutate(content, random, WORDS)),
        Input(kind, mutate(content, random, WORDS)),
        Input(kind, mutate(third, random, WORDS)),
    ]


RPC: Inputs = rpc_inputs()


@st.composite
def _predicts(draw: st.DrawFn) -> tuple[str, Any]:
    model, signature = draw(st.sampled_from(PLACES))
    request = PredictRequest()
    _fill_spec(draw, request.model_spec, model, signature)
    for name, row in SIGNATURES[model][signature].items():
        request.inputs[name].CopyFrom(draw(tensors(row)))
    choice = draw(st.integers(0, 11))
    if choice == 0:
        request.inputs[draw(_ANY_NAME)].CopyFrom(draw(tensors(("float32", ()))))
    elif choice == 1:
        request.inputs.pop(next(iter(request.inputs)))
    elif choice == 2:
        request.output_filter.extend(
            draw(st.lists(st.sampled_from(["value", "y", "", "é"]), max_size=3))
        )
    return "Predict", request


@st.composite
def _of_examples(draw: st.DrawFn) -> tuple[str, Any]:
    kind = draw(st.sampled_from(["Classify", "Regress", "MultiInference"]))
    name = draw(st.sampled_from(OF_EXAMPLES))
    request: Any
    if kind == "MultiInference":
        request = MultiInferenceRequest()
        for name in draw(st.lists(st.sampled_from(OF_EXAMPLES), max_size=3)):
            method = draw(st.sampled_from(["classify", "regress", "predict", "é"]))
            task = request.tasks.add(method_name=f"tensorflow/serving/{method}")
            _fill_spec(draw, task.model_spec, HALF, name)
    else:
        request = ClassificationRequest() if kind == "Classify" else RegressionRequest()
        _fill_spec(draw, request.model_spec, HALF, name)
    _fill_examples(draw, request.input)
    return kind, request


@st.composite
def _questions(draw: st.DrawFn) -> tuple[str, Any]:
    model, signature = draw(st.sampled_from(PLACES))
    kind = draw(
        st.sampled_from(["GetModelStatus", "GetModelMetadata", "NoMethod", "NoService", "Check"])
    )
    request: Any
    if kind != "GetModelMetadata":
        request = GetModelStatusRequest()
    else:
        fields = draw(st.lists(st.sampled_from(["signature_def", "", "é"]), max_size=2))
        request = GetModelMetadataRequest(metadata_field=fields)
    _fill_spec(draw, request.model_spec, model, signature)
    return kind, request


def _fill_spec(draw: st.DrawFn, spec: Any, model: str, signature: str) -> None:
    """Mostly right; without a name, a version or a signature that is there, otherwise."""
    spec.name, spec.signature_name = model, signature
    choice = draw(st.integers(0, 11))
    if choice == 0:
        spec.name = draw(_ANY_NAME)
    elif choice == 1:
        spec.signature_name = draw(_ANY_NAME)
    elif choice == 2:
        numbers = [VERSIONS[model], 0, -1, 2**63 - 1, -(2**63)]
        spec.version.value = draw(st.sampled_from(numbers))
    elif choice == 3:
        spec.version_label = draw(st.sampled_from([LABEL, "", "é", "canary"]))


def _fill_examples(draw: st.DrawFn, into: Any) -> None:
    choice = draw(st.integers(0, 5))
    if choice == 0:
        return
    examples = into.example_list
    if choice == 1:
        examples = into.example_list_with_context
        _fill_example(draw, examples.context)
    for _ in range(draw(st.integers(0, 3))):
        _fill_example(draw, examples.examples.add())


def _fill_example(draw: st.DrawFn, example: Any) -> None:
    feature = example.features.feature
    choice = draw(st.integers(0, 5))
    if choice:
        values = [1.0] if choice > 1 else draw(st.lists(st.floats(width=32), max_size=3))
        feature["x"].float_list.value.extend(values)
    if draw(st.booleans()):
        feature["name"].bytes_list.value.append(draw(st.sampled_from([b"a", b"", b"\xff"])))
    if not draw(st.integers(0, 5)):
        feature[draw(_ANY_NAME)].int64_list.value.append(2**63 - 1)
