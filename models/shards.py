"""Sharded records: a split's rows in files of bounded size, which both frameworks read alike.

A shard is one safetensors file with a tensor a column: ``labels``, and ``inputs/<name>`` for every input. Text is
stored as code points (N, width), in the narrowest of uint8, uint16 and uint32 that holds them, as Python keeps its
own strings (PEP 393). An index, kept by whoever owns the shards, says of each shard how many rows and which CRC-32
it has. ``docs/same-model.md`` says why not TFRecord.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from models.contract import TEXT
from models.errors import ArtifactCorrupt, CaseError
from models.split import Split, joined, spread_over

FORMAT = 1
MOST_ROWS = 2**14
MOST_BYTES = 2**24
"""A shard ends at either; large rows make shards of fewer rows."""

LABELS, INPUTS = "labels", "inputs/"
ANEW = "Run `make demo FRESH=1` to make it again."


@dataclass(frozen=True)
class Column:
    """One tensor of every shard.

    Attributes:
        dtype: numpy's name, or ``string``.
        shape: of one row.
        width: of text: letters of the longest word.
    """

    dtype: str
    shape: tuple[int, ...] = ()
    width: int = 0

    def empty(self, rows: int) -> np.ndarray:
        """Room for so many rows."""
        return np.empty((rows, *self.shape), f"U{self.width}" if self.dtype == TEXT else self.dtype)


@dataclass(frozen=True)
class Shard:
    """One file: its name, its rows, and the CRC-32 of its bytes."""

    file: str
    rows: int
    crc32: int


@dataclass(frozen=True)
class Shards:
    """A split on disk. Nothing of it is held in memory but what is asked for.

    Attributes:
        folder: where the files lie.
        columns: by name; ``labels`` and ``inputs/<name>``.
        shards: in the order of the rows.
    """

    folder: Path
    columns: Mapping[str, Column]
    shards: tuple[Shard, ...]
    _sound: set[str] = field(default_factory=set, compare=False, repr=False)

    def __len__(self) -> int:
        return sum(shard.rows for shard in self.shards)

    @property
    def input_names(self) -> tuple[str, ...]:
        return tuple(name.removeprefix(INPUTS) for name in self.columns if name != LABELS)

    def shard(self, number: int) -> Split:
        """One shard's rows.

        Raises:
            ArtifactCorrupt: the file is gone, cut off, or not what was written.
        """
        arrays = self._read(self.shards[number])
        inputs = {name: arrays[INPUTS + name] for name in self.input_names}
        return Split(inputs, arrays[LABELS])

    def parts(self) -> Iterator[Split]:
        """Every shard, one at a time, in the order of the rows."""
        return (self.shard(number) for number in range(len(self.shards)))

    def check(self) -> None:
        """Read every shard once, so that what is wrong is told before the work, and by name.

        Raises:
            ArtifactCorrupt: a shard is gone, cut off, or not what was written.
        """
        for _ in self.parts():
            pass

    def read(self) -> Split:
        """All rows at once."""
        return joined(list(self.parts()))

    def room(self, rows: int) -> Split:
        """So many rows of these columns, whose values are yet to be written."""
        inputs = {name: self.columns[INPUTS + name].empty(rows) for name in self.input_names}
        return Split(inputs, self.columns[LABELS].empty(rows))

    def labels(self) -> np.ndarray:
        """int64 (N,), without holding the inputs."""
        return np.concatenate([part.labels for part in self.parts()])

    def rows(self, index: np.ndarray) -> Split:
        """Some rows, in the order of ``index``, which ascends; only their shards are read."""
        found, start = [], 0
        for number, shard in enumerate(self.shards):
            here = index[(index >= start) & (index < start + shard.rows)]
            if len(here):
                found.append(self.shard(number).rows(here - start))
            start += shard.rows
        return joined(found)

    def spread(self, count: int) -> Split:
        """So many rows, evenly spread, in their order; all of them where there are no more."""
        return self.rows(spread_over(len(self), count))

    def to_json(self) -> dict[str, Any]:
        return {
            "columns": {name: asdict(column) for name, column in self.columns.items()},
            "shards": [asdict(shard) for shard in self.shards],
        }

    @classmethod
    def from_json(cls, folder: Path, stored: Mapping[str, Any]) -> Shards:
        """What ``to_json`` gave, of files in ``folder``."""
        columns = {
            name: Column(each["dtype"], tuple(each["shape"]), each["width"])
            for name, each in stored["columns"].items()
        }
        return cls(folder, columns, tuple(Shard(**each) for each in stored["shards"]))

    def _read(self, shard: Shard) -> dict[str, np.ndarray]:
        path = self.folder / shard.file
        try:
            content = path.read_bytes()
            self._check(content, shard)
            arrays = load(content)
            return {name: _unpacked(arrays[name], column) for name, column in self.columns.items()}
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            raise ArtifactCorrupt(f"{path} cannot be read as a shard: {error}.", ANEW) from error

    def _check(self, content: bytes, shard: Shard) -> None:
        """Once a reader: the same file is read again every epoch."""
        if shard.file not in self._sound and zlib.crc32(content) != shard.crc32:
            raise ValueError(f"its {len(content):,} bytes are not those that were written")
        self._sound.add(shard.file)


class ShardWriter:
    """Writes one split, part by part.

    Args:
        folder: for the files; it is there.
        name: the split's, the beginning of the files' names.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name = folder, name
        self._columns: dict[str, Column] = {}
        self._shards: list[Shard] = []

    def write(self, split: Split) -> bytes:
        """Write one shard; what its file holds."""
        self._widen({name: column_of(array) for name, array in _arrays(split).items()})
        content = serialized(split)
        file = f"{self._name}-{len(self._shards):05}.safetensors"
        (self._folder / file).write_bytes(content)
        self._shards.append(Shard(file, len(split), zlib.crc32(content)))
        return content

    def shards(self) -> Shards:
        """What has been written so far."""
        return Shards(self._folder, dict(self._columns), tuple(self._shards))

    def _widen(self, columns: dict[str, Column]) -> None:
        """Text has the width of the longest word so far."""
        known = self._columns or columns
        self._columns = {
            name: replace(column, width=max(column.width, columns[name].width))
            for name, column in known.items()
        }


class Cutter:
    """Cuts rows that arrive in parts into pieces of a shard's size; holds less than a piece and a part."""

    def __init__(self) -> None:
        self._kinds: dict[str, Column] = {}
        self._waiting: list[Split] = []
        self._most_rows = self._room = 0

    def add(self, part: Split) -> Iterator[Split]:
        """The pieces that are full with these rows.

        Raises:
            CaseError: the rows have other columns than those before.
        """
        kinds = {name: replace(column_of(a), width=0) for name, a in _arrays(part).items()}
        if self._kinds and self._kinds != kinds:
            raise CaseError(
                f"Parts of a split have columns {_told(self._kinds)}, and now {_told(kinds)}.",
                "Every part of a split has the same inputs, dtypes and shapes.",
            )
        if not self._kinds:  # the first part decides for all
            self._kinds = kinds
            self._most_rows = self._room = min(MOST_ROWS, max(1, MOST_BYTES // row_bytes(part)))
        start = 0
        while start < len(part):
            piece = part.rows(slice(start, start + self._room))
            self._waiting.append(piece)
            start, self._room = start + len(piece), self._room - len(piece)
            if self._room == 0:
                yield from self.rest()

    def rest(self) -> Iterator[Split]:
        """What waits for more rows, now that none come."""
        if self._waiting:
            yield joined(self._waiting)
        self._waiting, self._room = [], self._most_rows


def row_bytes(split: Split) -> int:
    """Bytes of a row in memory, text at four a letter of the longest word."""
    arrays = _arrays(split).values()
    return sum(array.itemsize * int(np.prod(array.shape[1:])) for array in arrays)


def column_of(array: np.ndarray) -> Column:
    """How an array (N, ...) is kept."""
    if array.dtype.kind == "U":
        return Column(TEXT, array.shape[1:], array.dtype.itemsize // 4)
    return Column(array.dtype.name, array.shape[1:])


def serialized(split: Split) -> bytes:
    """The bytes of a shard's file; equal rows have equal bytes."""
    content: bytes = save({name: _packed(array) for name, array in _arrays(split).items()})
    return content


def _arrays(split: Split) -> dict[str, np.ndarray]:
    inputs = {INPUTS + name: np.ascontiguousarray(rows) for name, rows in split.inputs.items()}
    return {LABELS: np.ascontiguousarray(split.labels), **inputs}


def _told(kinds: Mapping[str, Column]) -> str:
    return ", ".join(f"{name} {each.dtype}{each.shape}" for name, each in kinds.items())


def _packed(array: np.ndarray) -> np.ndarray:
    if array.dtype.kind != "U":
        return array
    points = array.view(np.uint32).reshape(*array.shape, -1)  # (N, ..., letters)
    used = np.flatnonzero(points.reshape(-1, points.shape[-1]).any(axis=0))
    width = int(used[-1]) + 1 if len(used) else 1
    narrowest = np.min_scalar_type(int(points.max(initial=0)))
    return np.ascontiguousarray(points[..., :width].astype(narrowest))


def _unpacked(array: np.ndarray, column: Column) -> np.ndarray:
    if column.dtype != TEXT:
        return array
    points = np.ascontiguousarray(array.astype(np.uint32))
    return points.view(f"U{points.shape[-1]}")[..., 0]
