"""Writes a small SavedModel, its inputs and its answers: ``python saved_model_writer.py FOLDER``.

``FOLDER/second`` gets another one with the same signature, whose answers to the same inputs differ;
``FOLDER/examples`` one of the kind that TF Serving's own tests use: x / 2 + 2 of ``tf.Example``s.

A process of its own, for TensorFlow must not be imported where PyTorch may be.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf


class Network(tf.Module):
    """image float32 (N, 8, 8, 1) -> logits and probabilities, float32 (N, 10)."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        draw = tf.random.Generator.from_seed(seed)
        self.kernel = tf.Variable(draw.normal((3, 3, 1, 4)))
        self.weights = tf.Variable(draw.normal((256, 10)) * 0.1)

    @tf.function(input_signature=[tf.TensorSpec((None, 8, 8, 1), tf.float32, name="image")])
    def serve(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
        hidden = tf.nn.relu(tf.nn.conv2d(image / 16.0, self.kernel, 1, "SAME"))  # (N, 8, 8, 4)
        logits = tf.reshape(hidden, (-1, 256)) @ self.weights
        return {"logits": logits, "probabilities": tf.nn.softmax(logits)}

    @tf.function(input_signature=[tf.TensorSpec((None, 8, 8, 1), tf.float32, name="image")])
    def scores(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"scores": self.serve(image)["logits"]}

    @tf.function(
        input_signature=[
            tf.TensorSpec((None,), tf.string, name="word"),
            tf.TensorSpec((None,), tf.int64, name="count"),
        ]
    )
    def shout(self, word: tf.Tensor, count: tf.Tensor) -> dict[str, tf.Tensor]:
        loud = tf.strings.upper(word)
        return {"loud": loud, "loud_bytes": loud, "more": count + 1, "many": count > 1}


def write(folder: Path, seed: int) -> None:
    network = Network(seed)
    tf.saved_model.save(
        network,
        str(folder / "saved_model"),
        signatures={
            "serving_default": network.serve,
            "one_output": network.scores,
            "shout": network.shout,
        },
    )
    image = np.random.default_rng(3).random((20, 8, 8, 1), np.float32) * 16
    answers = {name: tensor.numpy() for name, tensor in network.serve(image).items()}
    np.savez(folder / "reference.npz", image=image, **answers)


def write_examples(folder: Path) -> None:
    """``half_plus_two``, with its signatures' names, and identities of more element types."""
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        signatures = example_signatures() | identities() | odd_signatures()
        session.run(v1.global_variables_initializer())
        builder = v1.saved_model.Builder(str(folder / "saved_model"))
        builder.add_meta_graph_and_variables(session, ["serve"], signatures)
        builder.save()


def signature(method: str, inputs: dict[str, Any], outputs: dict[str, Any]) -> Any:
    v1 = tf.compat.v1.saved_model
    return v1.build_signature_def(
        {name: v1.build_tensor_info(tensor) for name, tensor in inputs.items()},
        {name: v1.build_tensor_info(tensor) for name, tensor in outputs.items()},
        f"tensorflow/serving/{method}",
    )


def example_signatures() -> dict[str, Any]:
    v1 = tf.compat.v1
    half, two = v1.Variable(0.5, name="a"), v1.Variable(2.0, name="b")
    examples = v1.placeholder(tf.string, (None,), name="tf_example")
    features = {
        "x": v1.FixedLenFeature([1], tf.float32),
        "name": v1.FixedLenFeature([], tf.string, default_value="?"),
        "count": v1.FixedLenFeature([], tf.int64, default_value=0),
    }
    parsed = v1.parse_example(examples, features)
    x = v1.identity(parsed["x"], name="x")  # (N, 1)
    y = half * x + two
    label = tf.strings.join([parsed["name"], tf.strings.as_string(parsed["count"])])
    classes = tf.stack([label, tf.fill(tf.shape(label), "other")], axis=1)  # (N, 2)
    scores = tf.concat([y, -y], axis=1)  # (N, 2)
    inputs = {"inputs": examples}
    return {
        "serving_default": signature("predict", {"x": x}, {"y": y}),
        "regress_x_to_y": signature("regress", inputs, {"outputs": y}),
        "regress_flat": signature("regress", inputs, {"outputs": y[:, 0]}),
        "classify_x_to_y": signature("classify", inputs, {"scores": y}),
        "classify_names": signature("classify", inputs, {"classes": classes}),
        "classify_both": signature("classify", inputs, {"classes": classes, "scores": scores}),
        "classify_mismatch": signature("classify", inputs, {"classes": classes, "scores": y}),
        "classify_numbers": signature("classify", inputs, {"classes": scores}),
        "classify_flat": signature("classify", inputs, {"scores": y[:, 0]}),
        "regress_wide": signature("regress", inputs, {"outputs": scores}),
        "regress_whole": signature("regress", inputs, {"outputs": parsed["count"]}),
        "regress_none": signature("regress", inputs, {"outputs": y[:0]}),
        "regress_other": signature("regress", {"x": examples}, {"outputs": y}),
        "regress_renamed": signature("regress", inputs, {"y": y}),
        "classify_renamed": signature("classify", inputs, {"y": y}),
    }


def identities() -> dict[str, Any]:
    """``same_<type>``: input and output ``value`` of any shape."""
    kinds = (
        "float32 float64 int32 uint8 int16 int8 string complex64 int64 bool qint8 quint8 qint32 "
        "bfloat16 qint16 quint16 uint16 complex128 float16 uint32 uint64 float8_e5m2 "
        "float8_e4m3fn int4 uint4"
    )
    found = {}
    for name in kinds.split():
        value = tf.compat.v1.placeholder(name, None)
        same = tf.identity(value)
        found[f"same_{name}"] = signature("predict", {"value": value}, {"value": same})
    return found


def odd_signatures() -> dict[str, Any]:
    v1 = tf.compat.v1
    number = v1.placeholder(tf.float32, None, name="number")
    word = v1.placeholder(tf.string, None, name="word")
    both = {"number": number, "word": word}
    optional = signature("predict", both, {"number": tf.identity(number)})
    optional.defaults["word"].CopyFrom(tf.make_tensor_proto("?"))
    nowhere = signature("predict", {"x": number}, {"y": number})
    nowhere.outputs["y"].name = "nowhere:0"
    return {
        "handed_through": signature("predict", both, {"a": word, "b": number * 2, "c": number}),
        "untouched": signature("predict", both, {"a": word, "c": number}),
        "nowhere": nowhere,
        "pair": signature(
            "predict", both, {"number": tf.identity(number), "word": tf.identity(word)}
        ),
        "unequal": signature("predict", both, {"a": number[:1], "b": tf.identity(word)}),
        "optional": optional,
        "words_bytes": signature("predict", {"word": word}, {"word_bytes": tf.identity(word)}),
        "other_method": signature("else", {"x": number}, {"y": tf.identity(number)}),
    }


if __name__ == "__main__":
    write(Path(sys.argv[1]), seed=7)
    write(Path(sys.argv[1]) / "second", seed=8)
    write_examples(Path(sys.argv[1]) / "examples")
