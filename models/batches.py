"""The order of batches for both frameworks, and the one reader that gives them to both.

An epoch shuffles in two steps, so that its memory is bounded however many rows there are: the shards are permuted
and cut into windows of ``WINDOW_SHARDS``, and the rows of a window are permuted among themselves. A data set of
one window is shuffled as a whole. Both steps draw from one generator, seeded with the case's seed and the epoch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from models.case import Training
from models.shards import Shards
from models.split import Split

WINDOW_SHARDS = 16
"""At ``shards.MOST_ROWS`` 262,144 rows, at ``MOST_BYTES`` 256 MiB."""


@dataclass(frozen=True)
class Window:
    """Shards whose rows are shuffled together.

    Attributes:
        shards: their numbers, in the order in which they are read.
        order: int64 (N,): by place in the shuffled window, the place of its row among the rows as they are read.
    """

    shards: tuple[int, ...]
    order: np.ndarray


def windows(shard_rows: Sequence[int], epoch: int, seed: int) -> Iterator[Window]:
    """The windows of an epoch, one at a time.

    Args:
        shard_rows: rows of every shard.
        epoch: counts from 0.
        seed: the case's.
    """
    generator = np.random.default_rng([seed, epoch])
    numbers = np.arange(len(shard_rows))
    if len(numbers) > WINDOW_SHARDS:  # in a single window the rows' own permutation is enough
        numbers = generator.permutation(numbers)
    for start in range(0, len(numbers), WINDOW_SHARDS):
        chosen = tuple(numbers[start : start + WINDOW_SHARDS].tolist())
        rows = sum(shard_rows[number] for number in chosen)
        yield Window(chosen, generator.permutation(rows))


def blocks(shards: Shards, plan: Training, epoch: int) -> Iterator[Split]:
    """An epoch's rows in the order of its batches: a window at a time, in whole batches.

    Every block's rows are a multiple of the batch size, but for the last one's: what is left of a window begins
    the next block. One window is in memory, and what is left of the one before.

    Raises:
        ArtifactCorrupt: a shard is not what was written.
    """
    left: Split | None = None
    remaining = len(shards)
    for window in windows([shard.rows for shard in shards.shards], epoch, plan.seed):
        block = _shuffled(shards, window, left)
        remaining -= len(window.order)
        whole = len(block) if remaining == 0 else len(block) // plan.batch_size * plan.batch_size
        rest = block.rows(slice(whole, None))
        left = Split({name: rows.copy() for name, rows in rest.inputs.items()}, rest.labels.copy())
        if whole:
            yield block.rows(slice(0, whole))
        del block, rest  # before there is room made for the next window


def _shuffled(shards: Shards, window: Window, left: Split | None) -> Split:
    """What is left, then the window's rows: each shard's go straight to where the shuffle has them."""
    before = 0 if left is None else len(left)
    block = shards.room(before + len(window.order))
    if left is not None:
        _put(block, slice(0, before), left)
    places = np.empty_like(window.order)
    places[window.order] = np.arange(before, before + len(places))
    start = 0
    for number in window.shards:
        part = shards.shard(number)
        _put(block, places[start : start + len(part)], part)
        start += len(part)
    return block


def _put(block: Split, places: np.ndarray | slice, part: Split) -> None:
    for name, rows in part.inputs.items():
        block.inputs[name][places] = rows
    block.labels[places] = part.labels
