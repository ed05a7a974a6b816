"""Writes models that remember nothing, but for one: ``python ordinary_model_writer.py FOLDER``.

Each in ``FOLDER/<name>``, with a signature ``serving_default``. The one is ``xla_module_with_tokens``.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import keras
import tensorflow as tf
from tensorflow.compiler.tf2xla.ops import gen_xla_ops

v1 = tf.compat.v1
NUMBERS = tf.TensorSpec((None, 3), tf.float32, name="x")


def networks() -> dict[str, keras.Model]:
    layers = keras.layers
    return {
        "dense": keras.Sequential([keras.Input((3,)), layers.Dense(4), layers.Dropout(0.5)]),
        "lstm": keras.Sequential([keras.Input((5, 3)), layers.LSTM(4)]),
    }


class Table(tf.Module):
    """Looks words up, made of numbers because only these can be asked for with zeros."""

    def __init__(self) -> None:
        super().__init__()
        entries = tf.lookup.KeyValueTensorInitializer(["0", "1"], tf.constant([1, 2], tf.int64))
        self.table = tf.lookup.StaticHashTable(entries, 0)
        self.rows = tf.Variable(tf.ones((3, 2)))

    @tf.function(input_signature=[NUMBERS])
    def serve(self, x: tf.Tensor) -> tf.Tensor:
        return tf.gather(self.rows, self.table.lookup(tf.strings.as_string(x, precision=0)))


class StringLookup(tf.Module):
    """The same by Keras."""

    def __init__(self) -> None:
        super().__init__()
        self.lookup = keras.layers.StringLookup(vocabulary=["0", "1"])
        self.embedding = keras.layers.Embedding(3, 2)
        self.embedding.build()

    @tf.function(input_signature=[NUMBERS])
    def serve(self, x: tf.Tensor) -> tf.Tensor:
        return self.embedding(self.lookup(tf.strings.as_string(x, precision=0)))


def cond(x: tf.Tensor) -> tf.Tensor:
    return tf.cond(tf.reduce_sum(x) > 0, lambda: x + 1, lambda: x - 1)


def while_loop(x: tf.Tensor) -> tf.Tensor:
    return tf.while_loop(lambda n, _: n < 3, lambda n, y: (n + 1, y * 2), (0, x))[1]


def checked(x: tf.Tensor) -> tf.Tensor:
    tf.debugging.assert_non_negative(tf.shape(x))
    return tf.debugging.check_numerics(x, "not a number")


def drawn_from_a_seed(x: tf.Tensor) -> tf.Tensor:
    key, counter = tf.raw_ops.StatelessRandomGetKeyCounter(seed=(1, 2))
    way = tf.raw_ops.StatelessRandomGetAlg()
    return x + tf.raw_ops.StatelessRandomUniformV2(shape=(3,), key=key, counter=counter, alg=way)


def device_index(x: tf.Tensor) -> tf.Tensor:
    return x + tf.cast(tf.raw_ops.DeviceIndex(device_names=["CPU"]), tf.float32)


def xla_module(x: tf.Tensor, tokens: bool = False) -> tf.Tensor:
    """What JAX exports; this one cannot be run."""
    return gen_xla_ops.xla_call_module(
        [x],
        version=9,
        module="",
        Sout=[(None, 3)],
        Tout=[tf.float32],
        platforms=["CPU"],
        has_token_input_output=tokens,
    )[0]


def xla_module_with_tokens(x: tf.Tensor) -> tf.Tensor:
    """Tokens keep effects in their order, so this one has some."""
    return xla_module(x, tokens=True)


def tensor_array(x: tf.Tensor) -> tf.Tensor:
    """In the form of TensorFlow 1: split, concatenated and closed."""
    parts = tf.TensorArray(tf.float32, size=1, infer_shape=False).split(x, [tf.shape(x)[0]])
    joined = parts.concat()
    with tf.control_dependencies([joined]), tf.control_dependencies([parts.close()]):
        return tf.identity(joined)


def guarantee_const(x: tf.Tensor) -> tf.Tensor:
    return x + v1.guarantee_const(tf.ones((3,)))


def write_function(folder: Path, function: Callable[[tf.Tensor], tf.Tensor]) -> None:
    module = tf.Module()
    module.serve = tf.function(function, input_signature=[NUMBERS])
    tf.saved_model.save(module, str(folder / function.__name__), {"serving_default": module.serve})


def write_graph(folder: Path, function: Callable[[tf.Tensor], tf.Tensor]) -> None:
    """As TensorFlow 1 wrote it."""
    v1.disable_control_flow_v2()
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, (None, 3), name="x")
        y = function(x)
        v1.saved_model.simple_save(session, str(folder / function.__name__), {"x": x}, {"y": y})


if __name__ == "__main__":
    into = Path(sys.argv[1])
    for name, network in networks().items():
        network.export(str(into / name), verbose=False)
    for name, module in (("table", Table()), ("string_lookup", StringLookup())):
        tf.saved_model.save(module, str(into / name), {"serving_default": module.serve})
    for each in (
        cond,
        while_loop,
        checked,
        drawn_from_a_seed,
        device_index,
        xla_module,
        xla_module_with_tokens,
    ):
        write_function(into, each)
    for each in (tensor_array, guarantee_const):
        write_graph(into, each)
