"""What TensorFlow alone says of an exported SavedModel: ``look_into_saved_model.py <version> <rows.npz>``."""

import json
import sys

import numpy as np
import tensorflow as tf

loaded = tf.saved_model.load(f"{sys.argv[1]}/tensorflow/saved_model")
serve = loaded.signatures["serving_default"]
with np.load(sys.argv[2]) as data:
    images, labels = data["images"], data["labels"]


def scores(rows: np.ndarray) -> np.ndarray:
    return serve(image=tf.constant(rows))["probabilities"].numpy()


print(
    json.dumps(
        {
            "signatures": list(loaded.signatures),
            "inputs": {
                n: t.shape.as_list() for n, t in serve.structured_input_signature[1].items()
            },
            "outputs": {n: t.shape.as_list() for n, t in serve.structured_outputs.items()},
            "batches": {n: list(scores(images[:n]).shape) for n in (1, 7, 33)},
            "same_twice": bool((scores(images) == scores(images)).all()),
            "accuracy": float((scores(images).argmax(1) == labels).mean()),
            "scaled_by_client": float(np.abs(scores(images / 16) - scores(images)).max()),
        }
    )
)
