"""Writes a small SavedModel, its inputs and its answers: ``python saved_model_writer.py FOLDER``.

A process of its own, for TensorFlow must not be imported where PyTorch may be.
"""

import sys
from pathlib import Path

import numpy as np
import tensorflow as tf


class Network(tf.Module):
    """image float32 (N, 8, 8, 1) -> logits and probabilities, float32 (N, 10)."""

    def __init__(self) -> None:
        super().__init__()
        draw = tf.random.Generator.from_seed(7)
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


def main(folder: Path) -> None:
    network = Network()
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


if __name__ == "__main__":
    main(Path(sys.argv[1]))
