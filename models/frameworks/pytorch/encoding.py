"""A PyTorch network in two parts: preprocessing that has no weights, and what is trained.

A network may have two methods beside ``forward``: ``encode``, which takes the raw inputs and returns a dict of
tensors without using a weight, and ``answer``, which takes that dict and returns what ``forward`` returns. Rows
are then encoded once before training instead of once an epoch, by the very method that is exported.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from models.contract import Contract, Tensors
from models.shards import Shards, ShardWriter
from models.split import Split

ROWS_AT_ONCE = 8192


def encode(network: nn.Module, inputs: Tensors, contract: Contract) -> dict[str, np.ndarray]:
    """Raw inputs as the trained part takes them: unchanged where the network has no encoder.

    Args:
        network: the whole network.
        inputs: arrays (N, ...) by contract name.
        contract: the order of the inputs.

    Returns:
        arrays (N, ...) by name.
    """
    raw = {name: inputs[name] for name in contract.input_names}
    return _encoded(network, raw, contract) if has_encoder(network) else raw


def encode_shards(network: nn.Module, shards: Shards, contract: Contract, folder: Path) -> Shards:
    """The same of a split on disk, shard by shard, so that the order of its rows stays the same.

    Args:
        network: the whole network.
        shards: the raw rows.
        contract: the order of the inputs.
        folder: for the encoded shards, made here; unused where the network has no encoder.

    Raises:
        ArtifactCorrupt: a shard is not what was written.
    """
    if not has_encoder(network):
        shards.check()
        return shards
    folder.mkdir(parents=True)
    writer = ShardWriter(folder, "encoder")
    for part in shards.parts():
        raw = {name: part.inputs[name] for name in contract.input_names}
        writer.write(Split(_encoded(network, raw, contract), part.labels))
    return writer.shards()


def body(
    network: nn.Module, encoded: Collection[str]
) -> Callable[[dict[str, Tensor]], dict[str, Tensor]]:
    """The part that takes what ``encode`` gives: the network itself where it has no encoder.

    Args:
        network: the whole network.
        encoded: the twin's argument; tensors have their names here.
    """
    if has_encoder(network):
        return _method(network, "answer")
    return lambda tensors: network(*tensors.values())


def has_encoder(network: nn.Module) -> bool:
    """Whether the network says how it comes apart."""
    return hasattr(network, "encode") and hasattr(network, "answer")


def _method(network: nn.Module, name: str) -> Callable[..., dict[str, Tensor]]:
    method: Callable[..., dict[str, Tensor]] = getattr(network, name)
    return method


def tensors_of(inputs: Tensors, contract: Contract) -> list[Any]:
    """Positional arguments in the contract's order; text is ``List[str]``."""
    return [
        inputs[spec.name].tolist()
        if spec.is_text
        else torch.from_numpy(np.ascontiguousarray(inputs[spec.name]))
        for spec in contract.inputs
    ]


def _encoded(network: nn.Module, raw: Tensors, contract: Contract) -> dict[str, np.ndarray]:
    parts: list[dict[str, Tensor]] = []
    with torch.inference_mode():
        for start in range(0, len(next(iter(raw.values()))), ROWS_AT_ONCE):
            rows = {name: array[start : start + ROWS_AT_ONCE] for name, array in raw.items()}
            parts.append(_method(network, "encode")(*tensors_of(rows, contract)))
    return {name: torch.cat([part[name] for part in parts]).numpy() for name in parts[0]}
