"""What TensorFlow Transform computes: sums over the numbers, vocabularies of the words.

The sums leave the graph as outputs, so that they are read from the graph and computed nowhere else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft

from models.errors import DataAnomaly


def preprocessing_fn(inputs: dict[str, Any], custom_config: dict[str, Any]) -> dict[str, Any]:
    """TFX calls this.

    Args:
        inputs: sparse tensors (batch, ≤1), by column.
        custom_config: ``numbers`` and ``words``, the columns that a model sees; and ``code``, for MLMD's cache.

    Returns:
        ``moments`` (batch, 3 × numbers): sums of values, of their squares, and how many there are; as texts,
        because TFX takes no float64. The vocabularies' files are beside it.
    """
    for name in custom_config["words"]:
        words = inputs[name].values
        tft.vocabulary(words, vocab_filename=vocabulary_file(name), store_frequency=True)
    columns = [inputs[name] for name in custom_config["numbers"]]
    values = [_dense(tf.cast(each.values, tf.float64), each) for each in columns]
    present = [_dense(tf.ones_like(each.values, tf.float64), each) for each in columns]
    # One analyzer over all columns: each of its own costs 2 s, however few the rows.
    table = tf.concat([*values, *(each**2 for each in values), *present], axis=1)
    sums = tft.sum(table, reduce_instance_dims=False)  # (3 × numbers,)
    rows = tf.shape(table)[0]
    return {"moments": tf.repeat(_text(sums)[tf.newaxis], rows, axis=0)}


def moments(output: Any, names: Sequence[str]) -> dict[str, tuple[float, float]]:
    """Mean and variance by column, over the values that are there, by applying the graph to one empty row.

    Args:
        output: ``tft.TFTransformOutput``.
        names: columns of numbers, as ``preprocessing_fn`` was given them.

    Raises:
        DataAnomaly: a column has no value at all.
    """
    row = {
        name: tf.sparse.from_dense(tf.zeros([1, 0], spec.dtype))
        for name, spec in output.raw_feature_spec().items()
        if spec.dtype != tf.string
    } | {
        name: tf.SparseTensor(tf.zeros([0, 2], tf.int64), tf.constant([], tf.string), [1, 0])
        for name, spec in output.raw_feature_spec().items()
        if spec.dtype == tf.string
    }
    texts = output.transform_features_layer()(row)["moments"][0].numpy()
    sums, squares, counts = np.array(texts, np.float64).reshape(3, len(names))
    if empty := [name for name, count in zip(names, counts, strict=True) if not count]:
        raise DataAnomaly(f"The train split has no value at all of {', '.join(empty)}.")
    means = sums / counts
    variances = np.maximum(squares / counts - means**2, 0)
    return {
        name: (float(mean), float(variance))
        for name, mean, variance in zip(names, means, variances, strict=True)
    }


def _dense(values: Any, like: Any) -> Any:
    """(batch, 1), with 0 where there is no value."""
    rows = like.dense_shape[0]
    return tf.scatter_nd(like.indices[:, :1], values[:, tf.newaxis], tf.stack([rows, 1]))


def _text(numbers: Any) -> Any:
    return tf.strings.as_string(numbers, precision=17, scientific=True)


def vocabulary_file(name: str) -> str:
    """The name of a column's vocabulary in the graph."""
    return f"vocabulary_{name}"
