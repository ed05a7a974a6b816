"""Writes models that remember being asked: ``python stateful_model_writer.py FOLDER``.

Each in ``FOLDER/<name>/1``, with a signature from x float32 (N,) to ``y`` float32 (), which is 1 at first
and another number afterwards.
"""

import sys
from pathlib import Path
from typing import Any

import tensorflow as tf

v1 = tf.compat.v1
X = tf.TensorSpec((None,), tf.float32, name="x")


class Variable(tf.Module):
    """Counts in a variable, two functions further down."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = tf.Variable(0.0)

    @tf.function(input_signature=[X])
    def serve(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": tf.cond(tf.size(x) >= 0, self.count, lambda: 0.0)}

    @tf.function
    def count(self) -> tf.Tensor:
        return self.asked.assign_add(1.0)


class Table(tf.Module):
    """Counts in a table, whose new size is the answer."""

    def __init__(self) -> None:
        super().__init__()
        self.table = tf.lookup.experimental.MutableHashTable(tf.int64, tf.int64, -1)

    @tf.function(input_signature=[X])
    def serve(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        key = self.table.size()
        self.table.insert(key, key)
        return {"y": tf.cast(self.table.size(), tf.float32)}


def reference_variable() -> tf.Tensor:
    asked = v1.Variable(0.0, use_resource=False)
    return v1.assign_add(asked, 1.0)


def queue() -> tf.Tensor:
    """Grows with every request; what grows it is reached by a control edge alone."""
    waiting = v1.FIFOQueue(1000, [tf.float32], [()])
    with tf.control_dependencies([waiting.enqueue(1.0)]):
        return tf.cast(waiting.size(), tf.float32)


def random() -> tf.Tensor:
    """Whether the number that is drawn is the first of its row, which is the same in every session."""
    first = first_drawn()
    return tf.where(tf.equal(tf.random.uniform((), seed=7), first), 1.0, 0.0)


def first_drawn() -> Any:
    with tf.Graph().as_default() as graph, v1.Session() as session:
        graph.seed = 7
        return session.run(tf.random.uniform((), seed=7))


def write_graph(folder: Path, make: Any) -> None:
    """As TensorFlow 1 wrote it."""
    with tf.Graph().as_default() as graph, v1.Session() as session:
        graph.seed = 7
        x = v1.placeholder(tf.float32, (None,), name="x")
        y = make()
        session.run(v1.global_variables_initializer())
        v1.saved_model.simple_save(session, str(folder / "1"), {"x": x}, {"y": y})


if __name__ == "__main__":
    into = Path(sys.argv[1])
    for module in (Variable(), Table()):
        name = type(module).__name__.lower()
        tf.saved_model.save(module, str(into / name / "1"), {"serving_default": module.serve})
    for make in (reference_variable, queue, random):
        write_graph(into / make.__name__, make)
