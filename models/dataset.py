"""A case's rows: three splits of raw inputs with their labels, and the digest that names them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.arrays import read_arrays, write_arrays
from models.contract import Contract, Tensors
from models.errors import ArtifactCorrupt, CaseError


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

    def spread(self, count: int) -> Split:
        """So many rows, evenly spread, in their order; all of them where there are no more."""
        return self if count >= len(self) else self.rows(spread_over(len(self), count))


@dataclass(frozen=True)
class Dataset:
    """Train, validation and test splits."""

    train: Split
    validation: Split
    test: Split

    SPLITS = ("train", "validation", "test")

    def digest(self) -> str:
        """sha256 over names, dtypes, shapes and bytes of every split, in a fixed order."""
        total = hashlib.sha256()
        for name, array in sorted(self._arrays().items()):
            total.update(f"{name} {array.dtype.str} {array.shape}".encode())
            total.update(np.ascontiguousarray(array).tobytes())
        return total.hexdigest()

    def sample(self, rows: int) -> Dataset:
        """So many rows over all splits together, evenly spread over each, each split keeping its share."""
        whole = sum(len(getattr(self, name)) for name in self.SPLITS)
        splits: dict[str, Split] = {name: getattr(self, name) for name in self.SPLITS}
        return Dataset(
            **{
                name: split.spread(max(1, round(rows * len(split) / whole)))
                for name, split in splits.items()
            }
        )

    def check(self, contract: Contract) -> None:
        """Hold every split against the contract.

        Raises:
            CaseError: an input is missing, or has another dtype or shape; a label is out of range.
        """
        for split_name in self.SPLITS:
            split: Split = getattr(self, split_name)
            _check_split(split_name, split, contract)

    def write(self, path: Path) -> None:
        """Write one ``.npz``."""
        write_arrays(path, self._arrays())

    @classmethod
    def read(cls, path: Path) -> Dataset:
        """Read what ``write`` wrote.

        Raises:
            ArtifactCorrupt: the file is not such a file.
        """
        return cls(**{name: cls.read_split(path, name) for name in cls.SPLITS})

    @staticmethod
    def read_split(path: Path, name: str) -> Split:
        """One split of what ``write`` wrote; the others are not even read.

        Raises:
            ArtifactCorrupt: the file is not such a file.
        """
        try:
            return _split_of(name, read_arrays(path, f"{name}/"))
        except KeyError as error:
            raise ArtifactCorrupt(f"{path} cannot be read as a data set: {error}.") from error

    def _arrays(self) -> dict[str, np.ndarray]:
        arrays: dict[str, np.ndarray] = {}
        for split_name in self.SPLITS:
            split: Split = getattr(self, split_name)
            arrays[f"{split_name}/labels"] = split.labels
            arrays |= {f"{split_name}/inputs/{name}": rows for name, rows in split.inputs.items()}
        return arrays


def spread_over(rows: int, count: int) -> np.ndarray:
    """Places of so many rows, evenly spread: int64 (count,), or all of them where there are no more."""
    if count >= rows:
        return np.arange(rows)
    return np.arange(count) * rows // count


def batch_order(rows: int, batch_size: int, epoch: int, seed: int) -> list[np.ndarray]:
    """The rows of every batch of an epoch: one seeded shuffle, the same for both frameworks.

    Args:
        rows: rows of the training split.
        batch_size: rows a batch; the last may be smaller.
        epoch: counts from 0.
        seed: the case's.

    Returns:
        int64 arrays (batch_size,)
    """
    order = np.random.default_rng([seed, epoch]).permutation(rows)
    return [order[start : start + batch_size] for start in range(0, rows, batch_size)]


def _split_of(name: str, arrays: Tensors) -> Split:
    prefix = f"{name}/inputs/"
    inputs = {key[len(prefix) :]: rows for key, rows in arrays.items() if key.startswith(prefix)}
    return Split(inputs, arrays[f"{name}/labels"])


def _check_split(split_name: str, split: Split, contract: Contract) -> None:
    if len(split) == 0:
        raise CaseError(f"The {split_name} split has no rows.")
    if set(split.inputs) != set(contract.input_names):
        raise CaseError(
            f"The {split_name} split has inputs {sorted(split.inputs)}; the contract says "
            f"{sorted(contract.input_names)}."
        )
    for spec in contract.inputs:
        rows = split.inputs[spec.name]
        if not spec.admits(rows) or rows.shape != spec.batch(len(split)):
            raise CaseError(
                f"{spec.name} of the {split_name} split is {rows.dtype}{rows.shape}; the contract says "
                f"{spec.dtype}{spec.batch(len(split))}."
            )
        if rows.dtype.kind == "f" and not spec.missing and np.isnan(rows).any():
            raise CaseError(
                f"{spec.name} of the {split_name} split holds NaN; the contract does not let it be missing.",
                "Give its TensorSpec missing=True, or fill the gaps.",
            )
    if split.labels.min() < 0 or split.labels.max() >= len(contract.labels):
        raise CaseError(f"A label of the {split_name} split is not one of {list(contract.labels)}.")
