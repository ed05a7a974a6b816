"""The flights network in Keras."""

import keras
import tensorflow as tf

from models.cases.flights.case import CASE
from models.cases.flights.columns import (
    CROSSES,
    DAYS,
    DROPOUT,
    EMBEDDED,
    HIDDEN,
    HOURS,
    LARGEST_SCALED,
    NUMBERS,
    WORDS,
    Columns,
)
from models.constants import KNOWN, MISSING, UNSEEN, Constants


class Encoder(keras.layers.Layer):  # type: ignore[misc]
    """Raw columns (N,) to ``columns`` int64 (N, 6), ``wide`` int64 (N, 10) and ``numbers`` float32 (N, F)."""

    def __init__(self, constants: Constants) -> None:
        super().__init__(name="encoder", trainable=False)
        self._columns = Columns.of(constants)
        self.tables = [_table(constants["categorical"][name]["vocabulary"]) for name in WORDS]

    def call(self, inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        plan = self._columns
        raw = tf.stack([inputs[name] for name in NUMBERS], axis=1)  # (N, 15)
        missing = tf.math.is_nan(raw)
        filled = tf.where(missing, tf.constant(plan.fills), raw)
        scaled = (filled - tf.constant(plan.means)) / tf.constant(plan.stds)
        scaled = tf.clip_by_value(scaled, -LARGEST_SCALED, LARGEST_SCALED)
        told = tf.gather(tf.cast(missing, tf.float32), plan.may_be_missing, axis=1)
        words = [table.lookup(inputs[name]) for table, name in zip(self.tables, WORDS, strict=True)]
        columns = tf.stack([*words, *_clock(filled)], axis=1)  # (N, 6)
        return {
            "columns": columns,
            "wide": _wide(columns, plan),
            "numbers": tf.concat([scaled, told], axis=1),
        }


def network(constants: Constants) -> keras.Model:
    """Raw columns (N,) to ``logits`` and ``probabilities`` (N, 2)."""
    plan = Columns.of(constants)
    inputs = {
        s.name: keras.Input(s.shape, name=s.name, dtype=s.dtype) for s in CASE.contract.inputs
    }
    encoded = Encoder(constants)(inputs)
    embedded = [
        keras.layers.Embedding(plan.sizes[name], size, name=f"deep_{name}")(
            encoded["columns"][:, place]
        )
        for place, (name, size) in enumerate(EMBEDDED.items())
    ]
    x = keras.layers.Concatenate()([*embedded, encoded["numbers"]])
    for number, size in enumerate(HIDDEN, start=1):
        x = keras.layers.Dense(size, activation="relu", name=f"hidden{number}")(x)
        x = keras.layers.Dropout(DROPOUT)(x)
    wide = keras.layers.Embedding(plan.wide_size, 2, name="wide")(encoded["wide"])  # (N, 10, 2)
    logits = keras.layers.Dense(2, name="classifier")(x) + keras.ops.sum(wide, axis=1)
    return keras.Model(
        inputs, {"logits": logits, "probabilities": keras.layers.Softmax()(logits)}, name="flights"
    )


def _table(vocabulary: list[str]) -> tf.lookup.StaticHashTable:
    words = tf.constant(["", *vocabulary])
    indices = tf.constant([MISSING, *range(KNOWN, KNOWN + len(vocabulary))], tf.int64)
    return tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(words, indices), UNSEEN)


def _clock(filled: tf.Tensor) -> list[tf.Tensor]:
    """Hour and day as indices; what no clock shows is taken for the nearest that it does."""
    hour = tf.floor(filled[:, NUMBERS.index("minute_of_day")] / 60)
    day = filled[:, NUMBERS.index("day_of_week")]
    return [
        tf.cast(tf.clip_by_value(value, 0.0, count - 1.0), tf.int64)
        for value, count in ((hour, HOURS), (day, DAYS))
    ]


def _wide(columns: tf.Tensor, plan: Columns) -> tf.Tensor:
    """Rows of the wide part's table: one for every column, one for every cross."""
    crossed = [
        columns[:, plan.places[first]] * plan.sizes[second] + columns[:, plan.places[second]]
        for first, second in CROSSES
    ]
    every = tf.concat([columns, tf.stack(crossed, axis=1)], axis=1)
    return every + tf.constant(plan.offsets, tf.int64)
