"""The SavedModel as TensorFlow's documentation loads it for inference.

``tf.saved_model.load(...).signatures["serving_default"]`` is the documented way
(https://www.tensorflow.org/guide/saved_model); every Python peer calls the model through it.
``BENCH_CALL=session`` takes a TF 1 session instead, which is quicker and which no peer documents:
for the reference row that shows what the peer costs apart from this choice.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np
import tensorflow as tf

SIGNATURE = "serving_default"
Call = Callable[[np.ndarray], dict[str, np.ndarray]]


class Saved:
    """A SavedModel with one input.

    Attributes:
        input_name: the input's.
        row_shape: of one row, without the batch.
        call: rows (N, ...) to the outputs by name, in the order of the names, each (N, ...).
    """

    def __init__(self) -> None:
        folder = os.environ["BENCH_MODEL"]
        way = _by_session if os.environ.get("BENCH_CALL") == "session" else _by_function
        self.input_name, self.row_shape, self.call = way(folder)

    def answer(self, instances: list[dict[str, object]]) -> list[object]:
        """Rows as TF Serving's row JSON has them: instances to predictions."""
        rows = np.asarray([each[self.input_name] for each in instances], np.float32)
        return to_rows(self.call(rows))


def to_rows(outputs: dict[str, np.ndarray]) -> list[object]:
    """One value a row where there is one output, else an object."""
    columns = [array.tolist() for array in outputs.values()]
    if len(columns) == 1:
        return list(columns[0])
    return [dict(zip(outputs, row, strict=True)) for row in zip(*columns, strict=True)]


def _by_function(folder: str) -> tuple[str, tuple[int, ...], Call]:
    loaded = tf.saved_model.load(folder)
    function = loaded.signatures[SIGNATURE]
    name, spec = next(iter(function.structured_input_signature[1].items()))

    def call(rows: np.ndarray) -> dict[str, np.ndarray]:
        outputs = function(**{name: tf.constant(rows)})
        return {key: outputs[key].numpy() for key in sorted(outputs)}

    call.loaded = loaded  # type: ignore[attr-defined]  # its variables must outlive the function
    return name, tuple(spec.shape[1:]), call


def _by_session(folder: str) -> tuple[str, tuple[int, ...], Call]:
    session = tf.compat.v1.Session(graph=tf.Graph())
    with session.graph.as_default():
        meta = tf.compat.v1.saved_model.loader.load(session, ["serve"], folder)
    signature = meta.signature_def[SIGNATURE]
    name = next(iter(signature.inputs))
    shape = tuple(each.size for each in signature.inputs[name].tensor_shape.dim[1:])
    names = sorted(signature.outputs)
    with session.graph.as_default():
        run = session.make_callable(
            [signature.outputs[key].name for key in names], [signature.inputs[name].name]
        )
    return name, shape, lambda rows: dict(zip(names, run(rows), strict=True))
