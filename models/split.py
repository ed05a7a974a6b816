"""Rows of a case: raw inputs with their labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from models.contract import Tensors


@dataclass(frozen=True)
class Split:
    """Rows in a fixed order.

    Attributes:
        inputs: raw tensors by contract name, each (N, ...).
        labels: int64 (N,), index into the contract's labels.
    """

    inputs: Tensors
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def rows(self, index: np.ndarray | slice) -> Split:
        """Some of the rows, in the order of ``index``."""
        return Split({name: rows[index] for name, rows in self.inputs.items()}, self.labels[index])

    def parts(self) -> Iterator[Split]:
        """The rows in one part; a split on disk has more."""
        yield self

    def spread(self, count: int) -> Split:
        """So many rows, evenly spread, in their order; all of them where there are no more."""
        return self if count >= len(self) else self.rows(spread_over(len(self), count))


def joined(parts: Sequence[Split]) -> Split:
    """Rows of several splits with the same inputs, one after another."""
    if len(parts) == 1:
        return parts[0]
    inputs = {
        name: np.concatenate([part.inputs[name] for part in parts]) for name in parts[0].inputs
    }
    return Split(inputs, np.concatenate([part.labels for part in parts]))


def spread_over(rows: int, count: int) -> np.ndarray:
    """Places of so many rows, evenly spread: int64 (count,), or all of them where there are no more."""
    if count >= rows:
        return np.arange(rows)
    return np.arange(count) * rows // count
