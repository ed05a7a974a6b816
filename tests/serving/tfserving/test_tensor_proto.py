"""TensorProto against numpy, in both of its spellings."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from serving.tfserving.messages import TensorProto
from serving.tfserving.tensor_proto import (
    ELEMENT_TYPES,
    STRING,
    ElementType,
    from_proto,
    to_proto,
)

NUMBERS = [kind.dtype for kind in ELEMENT_TYPES if kind is not STRING and kind.dtype.isbuiltin == 1]
OTHERS = [kind for kind in ELEMENT_TYPES if kind is not STRING and kind.dtype not in NUMBERS]


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from(NUMBERS).flatmap(
        lambda dtype: arrays.arrays(dtype, arrays.array_shapes(min_dims=0, min_side=0, max_dims=3))
    ),
    st.booleans(),
)
def test_numbers_come_back(array: np.ndarray, as_content: bool) -> None:
    proto = TensorProto.FromString(to_proto(array, as_content).SerializeToString())
    assert bool(proto.tensor_content) == (as_content and array.size > 0)
    if array.size or as_content:
        back = from_proto(proto)
        assert (back.dtype, back.shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(back, array)


@pytest.mark.parametrize("kind", OTHERS, ids=lambda kind: kind.name)
@pytest.mark.parametrize("as_content", [True, False])
def test_numbers_that_numpy_lacks_come_back(kind: ElementType, as_content: bool) -> None:
    bits = np.array([[0, 1, 5]], kind.stored).view(kind.dtype)
    back = from_proto(to_proto(bits, as_content))
    assert (back.dtype, back.tobytes()) == (bits.dtype, bits.tobytes())
    assert from_proto(to_proto(bits.T, as_content)).tolist() == bits.T.tolist()


@given(st.lists(st.text(max_size=5), max_size=4))
def test_text_comes_back_as_bytes(words: list[str]) -> None:
    for strings_too in (False, True):
        proto = to_proto(np.array(words, dtype=object), strings_too=strings_too)
        assert bool(proto.tensor_content) == (strings_too and bool(words))
        assert from_proto(proto).tolist() == [word.encode() for word in words]


def test_other_byte_orders_and_memory_orders() -> None:
    array = np.arange(6, dtype=">f4").reshape(2, 3).T
    for as_content in (True, False):
        np.testing.assert_array_equal(from_proto(to_proto(array, as_content)), array)


def test_the_last_value_repeats() -> None:
    proto = TensorProto(dtype=1, float_val=[1, 2])
    proto.tensor_shape.dim.add(size=4)
    assert from_proto(proto).tolist() == [1, 2, 2, 2]


@pytest.mark.parametrize(
    "values", [{"tensor_content": b"\x00\x01\x02\xff"}, {"bool_val": [0, 1, 2, -1]}]
)
def test_whatever_is_not_zero_is_true(values: dict[str, Any]) -> None:
    proto = TensorProto(dtype=10, **values)
    proto.tensor_shape.dim.add(size=4)
    assert from_proto(proto).tobytes() == b"\x00\x01\x01\x01"


def test_no_values_are_zeros_and_too_many_are_cut() -> None:
    """``FromProtoField`` in TensorFlow's ``tensor.cc``."""
    proto = TensorProto(dtype=1)
    proto.tensor_shape.dim.add(size=2)
    assert from_proto(proto).tolist() == [0, 0]
    proto.float_val.extend([1, 2, 3])
    assert from_proto(proto).tolist() == [1, 2]


@pytest.mark.parametrize(
    ("values", "sizes", "words"),
    [
        ({"float_val": [1]}, [2**62, 0, 2**62], "too large"),
        ({}, [2, 0, 3, 2**32 + 1], "too large for an empty tensor"),
        ({"float_val": [1]}, [1] * 65, "rank 65"),
        ({"dtype": 7, "tensor_content": b"\x02a"}, [1], "lengths say otherwise"),
        ({"dtype": 7, "tensor_content": b"\xff"}, [1], "within the length"),
        ({"dtype": 7, "tensor_content": b"\x00"}, [2], "1 bytes for 2 strings"),
        ({"float_val": [1]}, [2**40], "too large"),
        ({"float_val": [1]}, [-1], "must be known"),
        ({"tensor_content": b"123"}, [1], "3 bytes"),
        ({"dtype": 20}, [1], "element type 20"),
    ],
)
def test_what_is_refused(values: dict[str, object], sizes: list[int], words: str) -> None:
    proto = TensorProto(**{"dtype": 1, **values})
    for size in sizes:
        proto.tensor_shape.dim.add(size=size)
    with pytest.raises(ValueError, match=words):
        from_proto(proto)


def test_dates_have_no_element_type() -> None:
    with pytest.raises(ValueError, match="datetime64"):
        to_proto(np.zeros(1, "M8[s]"))


def run(program: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_client_leaves_tensorflow_out() -> None:
    run(
        "import sys, serving.tfserving.client, serving.tfserving.spec\n"
        "assert not [name for name in sys.modules if name.partition('.')[0] == 'tensorflow']"
    )


@pytest.mark.frameworks
def test_tensorflow_can_still_be_imported_and_reads_our_messages() -> None:
    run(
        "import numpy as np\n"
        "from serving.tfserving.tensor_proto import from_proto, to_proto\n"
        "import tensorflow as tf\n"
        "array = np.arange(6, dtype=np.float32).reshape(2, 3)\n"
        "for as_content in (True, False):\n"
        "    assert (tf.make_ndarray(to_proto(array, as_content)) == array).all()\n"
        "assert (from_proto(tf.make_tensor_proto(array)) == array).all()\n"
        "words = tf.make_tensor_proto(['a', 'b'])\n"
        "assert from_proto(words).tolist() == tf.make_ndarray(words).tolist()\n"
    )
