"""What is served: a SavedModel, rows to send, and the right answers.

Three of them: the digits network of the artifacts; one that returns what it gets, so that only the
server is measured; and one of 100 MB of weights, so that the model is most of the work.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.arrays import read_arrays

SUBJECTS = ("digits", "noop", "mlp")
ROWS = 64
"""Different rows that are sent in turn."""

ATOL = RTOL = 1e-4
"""float32 on another path through the same graph: batches of another size round otherwise."""


@dataclass(frozen=True)
class Subject:
    """One model.

    Attributes:
        name: under which it is served.
        folder: the SavedModel.
        input_name: its one input.
        rows: float32 (ROWS, ...).
        expected: by output name, float32 (ROWS, ...).
    """

    name: str
    folder: Path
    input_name: str
    rows: np.ndarray
    expected: dict[str, np.ndarray]

    @classmethod
    def read(cls, name: str, home: Path) -> Subject:
        """What :mod:`benchmarks.server.make_subjects` wrote below ``home``.

        Raises:
            ArtifactCorrupt: it did not.
        """
        stored = read_arrays(home / name / "rows.npz")
        input_name = next(key for key in stored if key.startswith("inputs/"))
        expected = {
            key.removeprefix("expected/"): array
            for key, array in stored.items()
            if key.startswith("expected/")
        }
        folder = home / name / "repository" / "1"
        return cls(name, folder, input_name.removeprefix("inputs/"), stored[input_name], expected)

    def batches(self, size: int) -> list[np.ndarray]:
        """The rows in batches; larger than ROWS repeats them."""
        rows = np.resize(self.rows, (max(size, ROWS), *self.rows.shape[1:]))
        return [rows[at : at + size] for at in range(0, len(rows), size)]

    def is_right(self, at: int, size: int, found: list[np.ndarray]) -> bool:
        """Whether these are the outputs, in the order of their names, of batch number ``at``."""
        wanted = [self.expected[name] for name in sorted(self.expected)]
        if len(found) != len(wanted):
            return False
        return all(map(_close, found, (_rows(each, at * size, size) for each in wanted)))


def _rows(array: np.ndarray, start: int, size: int) -> np.ndarray:
    return np.take(array, range(start, start + size), axis=0, mode="wrap")


def _close(found: np.ndarray, wanted: np.ndarray) -> bool:
    if found.shape != wanted.shape:
        return False
    # NaN is close to nothing, so that it is never right.
    return bool(np.isclose(found, wanted, rtol=RTOL, atol=ATOL).all())
