"""``python -m benchmarks.server.make_subjects HOME DIGITS_SAVED_MODEL DIGITS_ROWS``: in a process with TensorFlow.

Writes ``<HOME>/<name>/repository/1`` (the SavedModel) and ``<HOME>/<name>/rows.npz`` (rows and what
TensorFlow itself answers to them, one batch of all).
"""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks.server.subject import ROWS
from models.arrays import write_arrays
from models.dataset import Dataset
from serving.tfserving.repository import publish

MLP_INPUTS, MLP_WIDTH, MLP_LAYERS, MLP_OUTPUTS = 64, 2048, 7, 10
"""25.3 million float32 weights: 101 MB."""

SEED = 5


class Noop(tf.Module):  # type: ignore[misc]  # tensorflow has no types here
    """Returns what it gets."""

    @tf.function(input_signature=[tf.TensorSpec([None, 8], tf.float32, name="x")])  # type: ignore[untyped-decorator]
    def serve(self, x: Any) -> dict[str, Any]:
        return {"y": tf.identity(x)}


class Mlp(tf.Module):  # type: ignore[misc]
    """Dense layers with ReLU; weights scaled so that numbers stay near 1."""

    def __init__(self) -> None:
        super().__init__()
        draw = np.random.default_rng(SEED)
        sizes = [MLP_INPUTS, *[MLP_WIDTH] * MLP_LAYERS, MLP_OUTPUTS]
        self.layers = [
            tf.Variable(draw.normal(0, (2 / rows) ** 0.5, (rows, columns)).astype(np.float32))
            for rows, columns in pairwise(sizes)
        ]

    @tf.function(input_signature=[tf.TensorSpec([None, MLP_INPUTS], tf.float32, name="x")])  # type: ignore[untyped-decorator]
    def serve(self, x: Any) -> dict[str, Any]:
        for weights in self.layers[:-1]:
            x = tf.nn.relu(x @ weights)
        return {"y": x @ self.layers[-1]}


def main(home: Path, digits: Path, dataset: Path) -> None:
    """Write all three."""
    draw = np.random.default_rng(SEED)
    # Short decimals: a row of JSON then is as long as people's own.
    noop = draw.integers(-999, 999, (ROWS, 8)).astype(np.float32) / 8
    mlp = draw.integers(-16, 16, (ROWS, MLP_INPUTS)).astype(np.float32) / 16
    test = Dataset.read(dataset).test.inputs
    publish(digits, home / "digits" / "repository", 1)
    _write_rows(home, "digits", next(iter(test.values()))[:ROWS])
    for name, module, rows in (("noop", Noop(), noop), ("mlp", Mlp(), mlp)):
        target = home / name / "repository" / "1"
        tf.saved_model.save(module, str(target), signatures={"serving_default": module.serve})
        _write_rows(home, name, rows)


def _write_rows(home: Path, name: str, rows: np.ndarray) -> None:
    loaded = tf.saved_model.load(str(home / name / "repository" / "1"))
    function = loaded.signatures["serving_default"]
    input_name = next(iter(function.structured_input_signature[1]))
    outputs = function(**{input_name: tf.constant(rows)})
    arrays = {f"expected/{key}": value.numpy() for key, value in outputs.items()}
    write_arrays(home / name / "rows.npz", {f"inputs/{input_name}": rows, **arrays})


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
