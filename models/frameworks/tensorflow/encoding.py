"""A Keras network in two parts: preprocessing that has no weights, and what is trained.

A network may name one of its layers ``encoder``: a layer without weights that turns the raw inputs into a dict of
tensors, which are all that the rest of the network takes. Rows are then encoded once before training instead of
once an epoch, by the very layer that is exported.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from models.contract import Contract, Tensors
from models.shards import Shards, ShardWriter
from models.split import Split

ENCODER = "encoder"
ROWS_AT_ONCE = 8192


def encode(network: keras.Model, inputs: Tensors, contract: Contract) -> dict[str, np.ndarray]:
    """Raw inputs as the trained part takes them: unchanged where the network has no encoder.

    Args:
        network: the whole network.
        inputs: arrays (N, ...) by contract name.
        contract: the order of the inputs.

    Returns:
        arrays (N, ...) by name.
    """
    raw = {name: inputs[name] for name in contract.input_names}
    layer = encoder_of(network)
    return raw if layer is None else _encoded(tf.function(layer, reduce_retracing=True), raw)


def encode_shards(network: keras.Model, shards: Shards, contract: Contract, folder: Path) -> Shards:
    """The same of a split on disk, shard by shard, so that the order of its rows stays the same.

    Args:
        network: the whole network.
        shards: the raw rows.
        contract: the order of the inputs.
        folder: for the encoded shards, made here; unused where the network has no encoder.

    Raises:
        ArtifactCorrupt: a shard is not what was written.
    """
    layer = encoder_of(network)
    if layer is None:
        shards.check()
        return shards
    folder.mkdir(parents=True)
    writer, run = ShardWriter(folder, ENCODER), tf.function(layer, reduce_retracing=True)
    for part in shards.parts():
        raw = {name: part.inputs[name] for name in contract.input_names}
        writer.write(Split(_encoded(run, raw), part.labels))
    return writer.shards()


def body(network: keras.Model, encoded: Collection[str]) -> keras.Model:
    """The part that takes what ``encode`` gives: the network itself where it has no encoder.

    Args:
        network: the whole network.
        encoded: names of what ``encode`` gives; those of the part's inputs.
    """
    layer = encoder_of(network)
    if layer is None:
        return network
    # Keras keeps a layer's outputs in the order of their sorted names.
    return keras.Model(dict(zip(sorted(encoded), layer.output, strict=True)), network.output)


def encoder_of(network: keras.Model) -> keras.Layer | None:
    """The network's encoder, where it has one."""
    return next((layer for layer in network.layers if layer.name == ENCODER), None)


def call_form(tensors: dict[str, Any]) -> Any:
    """A network with one input is called with the tensor, one with several with the dict."""
    return next(iter(tensors.values())) if len(tensors) == 1 else tensors


def _encoded(run: Callable[..., dict[str, Any]], raw: Tensors) -> dict[str, np.ndarray]:
    parts: list[dict[str, Any]] = []
    for start in range(0, len(next(iter(raw.values()))), ROWS_AT_ONCE):
        rows = {k: tf.constant(v[start : start + ROWS_AT_ONCE]) for k, v in raw.items()}
        parts.append(run(rows))
    return {name: np.concatenate([part[name].numpy() for part in parts]) for name in parts[0]}
