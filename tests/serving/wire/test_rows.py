"""Row JSON: exact numbers, both forms of answers, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from models.contract import Contract, TensorSpec
from models.errors import NameMismatch, ServerFault, ShapeMismatch
from serving.wire.rows import decode_rows, encode_rows


def contract_of(*outputs: TensorSpec) -> Contract:
    return Contract(
        inputs=(TensorSpec("image", "float32", (2,)),),
        outputs=outputs,
        labels=("a", "b"),
        scores=outputs[0].name,
        logits=outputs[0].name,
    )


ONE = contract_of(TensorSpec("scores", "float32", (2,)))
TWO = contract_of(TensorSpec("scores", "float32", (2,)), TensorSpec("best", "int64", ()))


def answer(rows: Any) -> bytes:
    return json.dumps({"predictions": rows}).encode()


def as_answer(body: bytes) -> bytes:
    """A request's rows as an answer of a server that echoes them."""
    return body.replace(b'"instances"', b'"predictions"', 1)


@settings(max_examples=60, deadline=None)
@given(arrays.arrays(np.float32, arrays.array_shapes(min_dims=2, max_dims=4, max_side=4)))
@example(np.array([[7.0385307e-26, -7.0385307e-26]], np.float32))
@example(np.array([[np.nan, np.inf], [-np.inf, -0.0]], np.float32))
@example(np.array([[np.finfo(np.float32).max, np.finfo(np.float32).smallest_subnormal]], "f4"))
@example(np.zeros((0, 2), np.float32))
def test_float32_comes_back_bit_by_bit(image: np.ndarray) -> None:
    contract = contract_of(TensorSpec("image", "float32", image.shape[1:]))
    back = decode_rows(as_answer(encode_rows({"image": image})), contract)["image"]
    assert back.dtype == np.float32
    np.testing.assert_array_equal(back, image)
    assert (np.signbit(back) == np.signbit(image))[~np.isnan(image)].all()


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from(["int8", "uint8", "int32", "int64", "uint64", "float64", "bool"]).flatmap(
        lambda dtype: arrays.arrays(dtype, (3, 2))
    )
)
def test_other_dtypes_come_back(image: np.ndarray) -> None:
    contract = contract_of(TensorSpec("image", image.dtype.name, (2,)))
    back = decode_rows(as_answer(encode_rows({"image": image})), contract)["image"]
    assert back.dtype == image.dtype
    np.testing.assert_array_equal(back, image)


def test_every_row_is_an_object_with_every_input() -> None:
    body = encode_rows({"a": np.array([[1, 2], [3, 4]], np.float32), "b": np.array(["x", "y"])})
    assert json.loads(body) == {
        "instances": [{"a": [1.0, 2.0], "b": "x"}, {"a": [3.0, 4.0], "b": "y"}]
    }


def test_bytes_travel_as_base64() -> None:
    body = encode_rows({"a": np.array([b"\x00\xff"], object)})
    assert json.loads(body) == {"instances": [{"a": {"b64": "AP8="}}]}


def test_arrays_in_any_memory_order() -> None:
    image = np.arange(6, dtype=np.float32).reshape(2, 3).T
    assert json.loads(encode_rows({"a": image}))["instances"][0] == {"a": [0.0, 3.0]}


def test_inputs_of_different_lengths_are_refused() -> None:
    with pytest.raises(ShapeMismatch, match="'a': 2, 'b': 1"):
        encode_rows({"a": np.zeros((2, 1)), "b": np.zeros((1, 1))})


def test_one_output_is_bare_values() -> None:
    outputs = decode_rows(answer([[0.1, 0.2], [0.3, 0.4]]), ONE)
    np.testing.assert_array_equal(outputs["scores"], np.array([[0.1, 0.2], [0.3, 0.4]], "f4"))


def test_several_outputs_are_objects() -> None:
    outputs = decode_rows(answer([{"scores": [0.1, 0.2], "best": 1}]), TWO)
    assert outputs["scores"].shape == (1, 2)
    assert outputs["best"].dtype == np.int64


def test_a_name_that_the_contract_lacks_is_kept() -> None:
    assert set(decode_rows(answer([{"scores": [1, 2], "extra": 1}]), TWO)) == {"scores", "extra"}


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"{}", b'{"predictions": 3}', b'{"error": "x"}']
)
def test_other_bodies_are_the_servers_fault(body: bytes) -> None:
    with pytest.raises(ServerFault):
        decode_rows(body, ONE)


@pytest.mark.parametrize("rows", [[[1, 2]], [{"scores": [1, 2], "best": 0}, {"best": 0}], [{}, 1]])
def test_rows_that_differ_in_names(rows: list[Any]) -> None:
    with pytest.raises(NameMismatch):
        decode_rows(answer(rows), TWO)


@pytest.mark.parametrize("rows", [[[1, 2], [3]], [["x", "y"]], [[None, {}]]])
def test_rows_that_are_no_array(rows: list[Any]) -> None:
    with pytest.raises(ShapeMismatch, match="scores"):
        decode_rows(answer(rows), ONE)


def test_words_and_gaps_of_a_row_stand_beside_one_another():
    body = encode_rows(
        {"carrier": np.array(["UA", "ü"]), "seats": np.array([np.nan, 149], np.float32)}
    )
    assert body.decode() == (
        '{"instances":[{"carrier":"UA","seats":NaN},{"carrier":"ü","seats":149.0}]}'
    )
