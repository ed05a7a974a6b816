"""Writes models of the kinds that TF Serving's own tests serve: ``python yardstick_model_writer.py FOLDER``.

Each in ``FOLDER/<name>/123``: made by TensorFlow 2 or by Keras, where ``saved_model_writer.py`` makes
its ``examples`` model as TensorFlow 1 did.
"""

import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from flatbuffers import flexbuffers
from tensorflow.core.protobuf.meta_graph_pb2 import SignatureDef
from tensorflow.lite.python import schema_py_generated as schema
from tensorflow.lite.tools import flatbuffer_utils

VERSION = "123"


class Half(tf.Module):
    """x / 2 + 2, of numbers and of serialised ``tf.Example``s."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = tf.Variable(0.5), tf.Variable(2.0)

    def of(self, x: tf.Tensor) -> tf.Tensor:
        return self.a * x + self.b

    @tf.function(input_signature=[tf.TensorSpec((None, 1), tf.float32, name="x")])
    def predict(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": self.of(x)}

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name="inputs")])
    def regress(self, inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"outputs": self.of(parsed(inputs))}

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name="inputs")])
    def classify(self, inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"scores": self.of(parsed(inputs))}


class Constant(tf.Module):
    """One answer for each signature, whatever it is asked."""

    @tf.function(input_signature=[tf.TensorSpec(None, tf.float32, name="x")])
    def one(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": 1.0}

    @tf.function(input_signature=[tf.TensorSpec(None, tf.float32, name="x")])
    def two(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": 2.0}


def parsed(inputs: tf.Tensor) -> tf.Tensor:
    return tf.io.parse_example(inputs, {"x": tf.io.FixedLenFeature([1], tf.float32)})["x"]


def product() -> tuple[tf.Module, object]:
    """3 * 2 * x, of a tensor whose rank is open."""
    root = tf.train.Checkpoint(v1=tf.Variable(3.0), v2=tf.Variable(2.0))
    root.f = tf.function(lambda x: {"y": root.v1 * root.v2 * x})
    return root, root.f.get_concrete_function(tf.TensorSpec(None, tf.float32, name="x"))


def network() -> keras.Model:
    """x * 1 + 0."""
    dense = keras.layers.Dense(1, kernel_initializer="ones", name="y")
    return keras.Sequential([keras.layers.Input((1,), name="x"), dense])


def signed(content: bytes) -> bytes:
    """With a signature in its metadata, as TensorFlow's tool for that left it: input a, output b."""
    interpreter = Interpreter(model_content=content)
    signature = SignatureDef(method_name="tensorflow/serving/predict")
    [source], [target] = interpreter.get_input_details(), interpreter.get_output_details()
    for ports, name, details in (
        (signature.inputs, "a", source),
        (signature.outputs, "b", target),
    ):
        # Tensors of early converters have their names without ":0"; signatures have them with it.
        ports[name].name = f"{details['name'].partition(':')[0]}:0"
        ports[name].dtype = 1
        ports[name].tensor_shape.unknown_rank = True
    builder = flexbuffers.Builder()
    with builder.Map():
        builder.String("serving_default", signature.SerializeToString().decode("ascii"))
    model = flatbuffer_utils.read_model_from_bytearray(bytearray(content))
    buffer, metadata = schema.BufferT(), schema.MetadataT()
    buffer.data = np.frombuffer(bytes(builder.Finish()), np.uint8)
    metadata.name, metadata.buffer = b"signature_defs_metadata", len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [*(model.metadata or []), metadata]
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    processor = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(
        processor, [tf.config.LogicalDeviceConfiguration()] * 2
    )
    half = Half()
    signatures = {
        "serving_default": half.predict,
        "regress_x_to_y": half.regress,
        "classify_x_to_y": half.classify,
    }
    tf.saved_model.save(half, str(folder / "half" / VERSION), signatures)
    root, function = product()
    tf.saved_model.save(root, str(folder / "product" / VERSION), function)
    constant = Constant()
    both = {"serving_default": constant.one, "custom_signature_key": constant.two}
    tf.saved_model.save(constant, str(folder / "constant" / VERSION), both)
    function = half.predict.get_concrete_function()
    lite = tf.lite.TFLiteConverter.from_concrete_functions([function]).convert()
    for name, content in (("lite", lite), ("lite_signed", signed(lite))):
        (folder / name / VERSION).mkdir(parents=True)
        (folder / name / VERSION / "model.tflite").write_bytes(content)
    # TF Serving's tests use ``tf.saved_model.save``, with which Keras 3 leaves its variables out.
    network().export(str(folder / "sequential" / VERSION), verbose=False)
    with tf.distribute.MirroredStrategy(devices=("/cpu:0", "/cpu:1")).scope():
        network().export(str(folder / "mirrored" / VERSION), verbose=False)
