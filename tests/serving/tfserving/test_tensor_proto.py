"""TensorProto against numpy, in both of its spellings."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from serving.tfserving.messages import TensorProto
from serving.tfserving.tensor_proto import ELEMENT_TYPES, STRING, from_proto, to_proto

NUMBERS = [kind.dtype for kind in ELEMENT_TYPES if kind is not STRING]


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


@given(st.lists(st.text(max_size=5), max_size=4))
def test_text_comes_back_as_bytes(words: list[str]) -> None:
    back = from_proto(to_proto(np.array(words, dtype=object)))
    assert back.tolist() == [word.encode() for word in words]


def test_other_byte_orders_and_memory_orders() -> None:
    array = np.arange(6, dtype=">f4").reshape(2, 3).T
    for as_content in (True, False):
        np.testing.assert_array_equal(from_proto(to_proto(array, as_content)), array)


def test_the_last_value_repeats() -> None:
    proto = TensorProto(dtype=1, float_val=[1, 2])
    proto.tensor_shape.dim.add(size=4)
    assert from_proto(proto).tolist() == [1, 2, 2, 2]


@pytest.mark.parametrize(
    ("values", "sizes", "words"),
    [
        ({"float_val": [1, 2, 3]}, [2], "3 values for shape"),
        ({}, [2], "0 values for shape"),
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


def test_complex_numbers_have_no_element_type() -> None:
    with pytest.raises(ValueError, match="complex64"):
        to_proto(np.zeros(1, np.complex64))


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
