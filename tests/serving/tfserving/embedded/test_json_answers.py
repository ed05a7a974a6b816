"""The bodies of answers, byte by byte, against a writer that follows RapidJSON word for word."""

from __future__ import annotations

import base64
import json
import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hypothesis_numpy

from serving.tfserving.element_types import element_type
from serving.tfserving.embedded.graph.signature import Port
from serving.tfserving.embedded.json.answers import (
    write_classes,
    write_error,
    write_outputs,
    write_regressions,
)
from serving.tfserving.embedded.json.metadata import write_metadata, write_status
from serving.tfserving.embedded.json.tensors import Form
from serving.tfserving.messages import (
    ClassificationResult,
    GetModelStatusResponse,
    RegressionResult,
    SignatureDef,
)

SHAPES = [(3,), (1,), (0,), (2, 3), (2, 0), (0, 2), (2, 1, 3), (2, 3, 1, 2), (2, 2, 0, 2)]
ROUNDED_TWICE = 7.0385307e-26
"""The float32 whose shortest decimal reads back as another one."""
DTYPES = [np.float32, np.float64, np.int64, np.bool_]


class PrettyWriter:
    """Events in, text out: ``PrettyPrefix`` before each value, and an end of each list or object."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.levels: list[list[Any]] = []
        self.in_line = False

    def prefix(self) -> None:
        if not self.levels:
            return
        is_list, count = self.levels[-1]
        if is_list:
            self.parts.append("," if count else "")
            if self.in_line:
                self.parts.append(" " if count else "")
            else:
                self.indent()
        elif count % 2:
            self.parts.append(": ")
        else:
            self.parts.append("," if count else "")
            self.indent()
        self.levels[-1][1] += 1

    def indent(self) -> None:
        self.parts.append("\n" + "    " * len(self.levels))

    def word(self, text: str) -> None:
        self.prefix()
        self.parts.append(text)

    def start(self, bracket: str) -> None:
        self.word(bracket)
        self.levels.append([bracket == "[", 0])

    def end(self) -> None:
        is_list, count = self.levels.pop()
        if count and not (is_list and self.in_line):
            self.indent()
        self.parts.append("]" if is_list else "}")

    def nested(self, value: Any, leaf: Any) -> None:
        if isinstance(value, list):
            self.start("[")
            for each in value:
                self.nested(each, leaf)
            self.end()
        else:
            leaf(self, value)


def plain_leaf(writer: PrettyWriter, value: Any) -> None:
    if isinstance(value, bytes):
        writer.word(json.dumps(value.decode(), ensure_ascii=False))
    else:
        writer.word(json.dumps(value))


def base64_leaf(writer: PrettyWriter, value: bytes) -> None:
    writer.start("{")
    writer.word('"b64"')
    writer.word(json.dumps(base64.b64encode(value).decode()))
    writer.end()


def leaf_of(name: str) -> Any:
    return base64_leaf if name.endswith("_bytes") else plain_leaf


def in_rows(outputs: dict[str, np.ndarray]) -> str:
    writer = PrettyWriter()
    writer.start("{")
    writer.word('"predictions"')
    writer.start("[")
    for row in range(len(next(iter(outputs.values())))):
        if len(outputs) > 1:
            writer.start("{")
        writer.in_line = True
        for name, array in outputs.items():
            if len(outputs) > 1:
                writer.word(json.dumps(name))
            writer.nested(array.tolist()[row], leaf_of(name))
        writer.in_line = False
        if len(outputs) > 1:
            writer.end()
    writer.end()
    writer.end()
    return "".join(writer.parts)


def in_columns(outputs: dict[str, np.ndarray]) -> str:
    writer = PrettyWriter()
    writer.start("{")
    writer.word('"outputs"')
    if len(outputs) > 1:
        writer.start("{")
    for name, array in outputs.items():
        if len(outputs) > 1:
            writer.word(json.dumps(name))
        writer.nested(array.tolist(), leaf_of(name))
    if len(outputs) > 1:
        writer.end()
    writer.end()
    return "".join(writer.parts)


def written(outputs: dict[str, np.ndarray], form: Form) -> str:
    ports = {
        name: Port(name, element_type(array), None, f"{name}:0") for name, array in outputs.items()
    }
    return write_outputs(outputs, ports, form).decode()


def check(outputs: dict[str, np.ndarray]) -> None:
    assert written(outputs, Form.ROW) == in_rows(outputs)
    assert written(outputs, Form.COLUMNAR) == in_columns(outputs)


def numbers(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    return (np.arange(np.prod(shape)) % 7 / 2).astype(dtype).reshape(shape)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_the_layout_is_that_of_tf_serving(shape: tuple[int, ...], dtype: Any) -> None:
    array = numbers(shape, dtype)
    words = np.array([f"{value}, [" for value in array.ravel()], object)
    words = np.array([each.encode() for each in words], object).reshape(shape)
    check({"y": array})
    check({"y": words})
    check({"y_bytes": words})
    check({"100%": array, 'od"d,': array[..., None], "t": words, "t_bytes": words})


def test_more_dimensions_than_there_are_marks() -> None:
    check({"y": numbers((2,) + (1,) * 9 + (2,), np.float32)})


def test_a_number_without_dimensions() -> None:
    outputs = {"y": np.float32(0.5).reshape(())}
    assert written(outputs, Form.COLUMNAR) == in_columns(outputs) == '{\n    "outputs": 0.5\n}'
    for value, spelled in (
        (np.nan, "NaN"),
        (-np.inf, "-Infinity"),
        (ROUNDED_TWICE, "7.038530691851209e-26"),
    ):
        outputs = {"y": np.float32(value).reshape(())}
        assert written(outputs, Form.COLUMNAR) == f'{{\n    "outputs": {spelled}\n}}'


def test_what_a_reader_of_the_documentation_expects() -> None:
    """The answer in https://www.tensorflow.org/tfx/serving/api_rest, as it comes over the wire."""
    outputs = {"y": np.array([2.5, 3.0, 4.5], np.float32)}
    assert written(outputs, Form.ROW) == '{\n    "predictions": [2.5, 3.0, 4.5\n    ]\n}'


def test_numbers_that_json_does_not_have() -> None:
    outputs = {"y": np.array([[1.5, np.nan], [np.inf, -np.inf]])}
    assert written(outputs, Form.ROW) == (
        '{\n    "predictions": [[1.5, NaN], [Infinity, -Infinity]\n    ]\n}'
    )
    assert json.loads(written(outputs, Form.COLUMNAR))["outputs"][1] == [np.inf, -np.inf]


@given(
    hypothesis_numpy.arrays(
        st.sampled_from([np.float32, np.float64]), hypothesis_numpy.array_shapes(max_dims=3)
    )
)
@example(np.array([[0.5, ROUNDED_TWICE], [-ROUNDED_TWICE, 1.5]], np.float32))
@example(np.array([0.5, ROUNDED_TWICE]))
@example(np.array([ROUNDED_TWICE, np.inf, np.nan], np.float32))
def test_every_number_reads_back_as_itself(array: np.ndarray) -> None:
    for form, key in ((Form.ROW, "predictions"), (Form.COLUMNAR, "outputs")):
        found = json.loads(written({"y": array}, form))[key]
        assert np.array_equal(np.array(found, array.dtype), array, equal_nan=True)


def test_classes_and_regressions() -> None:
    classes = ClassificationResult()
    for label in ('a "quoted" one', ""):
        classes.classifications.add().classes.add(label=label, score=0.1)
    classes.classifications[0].classes.add(label="b", score=2)
    classes.classifications.add()
    assert write_classes(classes).decode() == (
        '{\n    "results": [[["a \\"quoted\\" one", 0.1], ["b", 2.0]], [["", 0.1]], []\n    ]\n}'
    )
    regressions = RegressionResult()
    for value in (0.1, 3, -math.inf, math.nan, ROUNDED_TWICE):
        regressions.regressions.add(value=value)
    assert write_regressions(regressions).decode() == (
        '{\n    "results": [0.1, 3.0, -Infinity, NaN, 7.038530691851209e-26]\n}'
    )


def test_errors() -> None:
    """RapidJSON spells control characters in capital letters, and leaves slashes as they are."""
    assert write_error('no "x"\n\\ \x1f \x7f / é').decode() == (
        '{\n    "error": "no \\"x\\"\\n\\\\ \\u001F \x7f / é"\n}'
    )
    assert write_error("\udcff") == '{\n    "error": "\ufffd"\n}'.encode()


def test_a_status_is_printed_as_protobuf_prints_it() -> None:
    response = GetModelStatusResponse()
    response.model_version_status.add(version=2, state=30).status.SetInParent()
    failed = response.model_version_status.add(version=1, state=50).status
    failed.error_code = 5
    failed.error_message = 'no <b>\x07\u2028\U000e0001 "é"'
    lines = write_status(response).decode().split("\n")
    assert lines == [
        "{",
        ' "model_version_status": [',
        "  {",
        '   "version": "2",',
        '   "state": "AVAILABLE",',
        '   "status": {',
        '    "error_code": "OK",',
        '    "error_message": ""',
        "   }",
        "  },",
        "  {",
        '   "version": "1",',
        '   "state": "END",',
        '   "status": {',
        '    "error_code": "NOT_FOUND",',
        '    "error_message": "no \\u003cb\\u003e\\u0007\\u2028\\udb40\\udc01 \\"é\\""',
        "   }",
        "  }",
        " ]",
        "}",
        "",
    ]
    assert write_status(GetModelStatusResponse()) == b'{\n "model_version_status": []\n}\n'


def test_numbers_of_default_values_are_spelt_as_protobuf_does() -> None:
    """``%g`` with 6 or 9 digits for a float, 15 or 17 for a double."""
    floats = {
        0.5: "0.5", 3: "3", -0.0: "-0", 1e5: "100000", 1e6: "1e+06", 1e10: "1e+10", 1e-7: "1e-07",
        1 / 3: "0.333333343", 123456789: "123456792", math.inf: '"Infinity"', math.nan: '"NaN"',
    }  # fmt: skip
    doubles = {0.1: "0.1", 1e10: "10000000000", 1e15: "1e+15", 1 / 3: "0.33333333333333331"}
    definition = SignatureDef()
    definition.defaults["x"].float_val.extend(floats)
    definition.defaults["x"].double_val.extend(doubles)
    definition.defaults["x"].int64_val.append(-5)
    model: Any = SimpleNamespace(name="m", version=1, definitions={"s": definition})
    text = "".join(write_metadata(model).decode().split())
    assert f'"float_val":[{",".join(floats.values())}]' in text
    assert f'"double_val":[{",".join(doubles.values())}]' in text
    assert '"int64_val":["-5"]' in text
