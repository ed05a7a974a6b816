"""Weights under names and layouts that belong to neither framework.

A tensor is called ``<layer>/<role>``; the layer has the same name in both networks. Layouts are Keras':
a convolution's kernel is (height, width, in, out), a dense one's (in, out). Files are safetensors.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import safetensors
from safetensors.numpy import load_file, save_file

from models.contract import Tensors
from models.errors import ArtifactCorrupt, ContractMismatch

Shapes = Mapping[str, tuple[int, ...]]

ZEROS = ("bias", "beta", "moving_mean")
ONES = ("gamma", "moving_variance")
LARGEST_EMBEDDING = 0.05


def draw_initial(shapes: Shapes, seed: int) -> dict[str, np.ndarray]:
    """Draw the initial weights that both networks start from.

    Every tensor has a generator of its own, seeded with the case's seed and the tensor's name, so that the
    order in which a framework lists its layers changes nothing. Kernels are Glorot uniform
    (Glorot & Bengio 2010, eq. 16), embeddings uniform in +-0.05 (Keras' default), biases, betas and
    moving means 0, gammas and moving variances 1.

    Args:
        shapes: shape by canonical name.
        seed: the case's.

    Returns:
        float32 arrays by canonical name.
    """
    return {name: _draw(name, shape, seed) for name, shape in sorted(shapes.items())}


def check_same_shapes(wanted: Shapes, found: Shapes, owner: str, other: str) -> None:
    """Two networks are twins only if their weights have the same names and shapes.

    Raises:
        ContractMismatch: naming the first tensor that differs.
    """
    for name in sorted(set(wanted) | set(found)):
        if wanted.get(name) != found.get(name):
            raise ContractMismatch(
                f"The weight {name} is {_told(wanted, name)} in {owner} and {_told(found, name)} in {other}.",
                "Give the layers of both networks the same names and sizes.",
            )


def write_weights(weights: Tensors, path: Path) -> None:
    """Write a safetensors file."""
    save_file({name: np.ascontiguousarray(array) for name, array in weights.items()}, path)


def read_weights_file(path: Path) -> dict[str, np.ndarray]:
    """Read a safetensors file.

    Raises:
        ArtifactCorrupt: it cannot be read.
    """
    try:
        weights: dict[str, np.ndarray] = load_file(path)
        return weights
    except (OSError, safetensors.SafetensorError) as error:
        raise ArtifactCorrupt(f"{path} cannot be read as safetensors: {error}.") from error


def _told(shapes: Shapes, name: str) -> str:
    return f"{shapes[name]}" if name in shapes else "missing"


def _draw(name: str, shape: tuple[int, ...], seed: int) -> np.ndarray:
    role = name.rpartition("/")[2]
    if role in ZEROS:
        return np.zeros(shape, np.float32)
    if role in ONES:
        return np.ones(shape, np.float32)
    generator = np.random.default_rng([seed, zlib.crc32(name.encode())])
    limit = LARGEST_EMBEDDING if role == "embeddings" else _glorot_limit(shape)
    return generator.uniform(-limit, limit, shape).astype(np.float32)


def _glorot_limit(shape: tuple[int, ...]) -> float:
    receptive = int(np.prod(shape[:-2]))
    fan_in, fan_out = shape[-2] * receptive, shape[-1] * receptive
    return float(np.sqrt(6 / (fan_in + fan_out)))
