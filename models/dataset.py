"""A case's rows: three splits, in memory or on disk in shards, and the digest that names them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.artifact import write_text
from models.contract import Contract
from models.errors import ArtifactCorrupt, CaseError
from models.shards import ANEW, FORMAT, Cutter, Shards, ShardWriter, serialized
from models.split import Split

__all__ = [
    "SPLITS",
    "Dataset",
    "Parts",
    "Split",
    "StoredDataset",
    "check_split",
    "share",
    "write_parts",
]

SPLITS = ("train", "validation", "test")
INDEX = "dataset.json"

Parts = Iterable[tuple[str, Split]]
"""Rows with the name of their split, as many at a time as their source likes."""


@dataclass(frozen=True)
class Dataset:
    """Train, validation and test splits in memory."""

    train: Split
    validation: Split
    test: Split

    SPLITS = SPLITS

    def parts(self) -> Iterator[tuple[str, Split]]:
        """Each split with its name."""
        return ((name, getattr(self, name)) for name in SPLITS)

    def digest(self) -> str:
        """sha256 that names the rows: that of the shards that :meth:`write` would make of them."""
        found: dict[str, list[str]] = {}
        for name, split in self.parts():
            cutter = Cutter()
            pieces = (*cutter.add(split), *cutter.rest())
            found[name] = [_sha256(serialized(piece)) for piece in pieces]
        return _digest_of(found)

    def sample(self, rows: int) -> Dataset:
        """So many rows over all splits together, evenly spread over each, each split keeping its share."""
        whole = {name: len(split) for name, split in self.parts()}
        return Dataset(
            **{name: split.spread(share(rows, whole, name)) for name, split in self.parts()}
        )

    def check(self, contract: Contract) -> None:
        """Hold every split against the contract.

        Raises:
            CaseError: an input is missing, or has another dtype or shape; a label is out of range.
        """
        for name, split in self.parts():
            check_split(name, split, contract)

    def write(self, path: Path) -> None:
        """Write all splits as shards.

        Args:
            path: a folder, made here.
        """
        write_parts(path, self.parts())

    @classmethod
    def read(cls, path: Path) -> Dataset:
        """All rows of what was written, in memory.

        Raises:
            ArtifactCorrupt: the folder is not such a folder.
        """
        stored = StoredDataset.open(path)
        return cls(*(getattr(stored, name).read() for name in SPLITS))

    @staticmethod
    def read_split(path: Path, name: str) -> Split:
        """All rows of one split of what was written; the others are not even read.

        Raises:
            ArtifactCorrupt: the folder is not such a folder.
        """
        split: Shards = getattr(StoredDataset.open(path), name)
        return split.read()


@dataclass(frozen=True)
class StoredDataset:
    """Train, validation and test splits on disk; memory does not grow with their rows.

    Attributes:
        digest: as ``Dataset.digest``.
    """

    train: Shards
    validation: Shards
    test: Shards
    digest: str

    @property
    def rows(self) -> dict[str, int]:
        """Rows of each split."""
        return {name: len(getattr(self, name)) for name in SPLITS}

    @classmethod
    def open(cls, path: Path) -> StoredDataset:
        """Read the index of a folder that ``write_parts`` made.

        Raises:
            ArtifactCorrupt: the folder is not such a folder.
        """
        try:
            index = json.loads((path / INDEX).read_text())
            if index["format"] != FORMAT:
                raise ValueError(f"its format is {index['format']}, not {FORMAT}")
            splits = {name: Shards.from_json(path, index["splits"][name]) for name in SPLITS}
            return cls(**splits, digest=index["digest"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ArtifactCorrupt(f"{path} cannot be read as a data set: {error}.", ANEW) from error


def write_parts(path: Path, parts: Parts) -> StoredDataset:
    """Write rows as shards, as they come: no more than a shard and a part is in memory. The index comes last.

    Args:
        path: a folder, made here.
        parts: rows of the three splits, in their order; the splits may take turns.

    Raises:
        CaseError: a split has no rows, or its parts have other inputs than the first.
    """
    path.mkdir(parents=True)
    cutters = {name: Cutter() for name in SPLITS}
    writers = {name: ShardWriter(path, name) for name in SPLITS}
    digests: dict[str, list[str]] = {name: [] for name in SPLITS}

    def keep(name: str, pieces: Iterator[Split]) -> None:
        for piece in pieces:
            digests[name].append(_sha256(writers[name].write(piece)))

    for name, part in parts:
        keep(name, cutters[name].add(part))
    for name in SPLITS:
        keep(name, cutters[name].rest())
        if not digests[name]:
            raise CaseError(f"The {name} split has no rows.")
    splits = {name: writer.shards() for name, writer in writers.items()}
    stored = StoredDataset(**splits, digest=_digest_of(digests))
    index = {name: each.to_json() for name, each in splits.items()}
    text = json.dumps({"format": FORMAT, "digest": stored.digest, "splits": index}, indent=1)
    write_text(path / INDEX, text + "\n")
    return stored


def share(rows: int, whole: dict[str, int], name: str) -> int:
    """Rows of a split in a sample of so many rows of all splits together."""
    return max(1, round(rows * whole[name] / sum(whole.values())))


def _digest_of(shards: Mapping[str, list[str]]) -> str:
    """One digest of the digests of all shards, by split."""
    lines = [f"{name} {each}" for name in SPLITS for each in shards[name]]
    return _sha256("\n".join(lines).encode())


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def check_split(split_name: str, split: Split, contract: Contract) -> None:
    """Hold some rows against the contract.

    Raises:
        CaseError: an input is missing, or has another dtype or shape; a label is out of range.
    """
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
