"""What was not as it should be, kept so that it can be sent again."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.fuzz.inputs.input import Input
from benchmarks.fuzz.oracles import Problem

_MOST_ALIKE = 3
"""Of findings with the same words, so many are kept; the others are counted."""


@dataclass(frozen=True)
class Finding:
    """A problem, and what led to it.

    Attributes:
        problem: the rule and what was seen.
        target: which inputs it came with.
        chunk: number of the chunk, -1 for what concerns the whole run.
        inputs: the one that led to it, or all that may have.
        place: where they are kept: a file for one, a folder for several; None where there are none.
    """

    problem: Problem
    target: str
    chunk: int
    inputs: tuple[Input, ...]
    place: Path | None

    @property
    def again(self) -> str:
        """The line that sends it again."""
        return f"python -m benchmarks.fuzz --again {self.place}" if self.place else ""

    def to_json(self) -> dict[str, Any]:
        return {
            "oracle": self.problem.oracle.value,
            "words": self.problem.words,
            "target": self.target,
            "chunk": self.chunk,
            "inputs": len(self.inputs),
            "again": self.again,
        }


class Findings:
    """All of a run.

    Args:
        folder: for their inputs; made when there are any.
    """

    def __init__(self, folder: Path) -> None:
        self.kept: list[Finding] = []
        self.counted: Counter[str] = Counter()
        self._folder = folder

    def __len__(self) -> int:
        return sum(self.counted.values())

    def add(
        self, problem: Problem, target: str, chunk: int, inputs: Sequence[Input]
    ) -> Finding | None:
        """Count a finding, and keep it where there are few like it.

        Returns:
            the finding, or None where it was only counted.
        """
        alike = f"{target}: {problem.oracle.value}: {_without_figures(problem.words)}"
        self.counted[alike] += 1
        if self.counted[alike] > _MOST_ALIKE:
            return None
        place = self._write(f"{len(self.kept) + 1:03}-{target}", inputs) if inputs else None
        self.kept.append(Finding(problem, target, chunk, tuple(inputs), place))
        return self.kept[-1]

    def _write(self, name: str, inputs: Sequence[Input]) -> Path:
        self._folder.mkdir(parents=True, exist_ok=True)
        if len(inputs) == 1:
            return _write_one(self._folder / name, inputs[0])
        folder = self._folder / name
        folder.mkdir(exist_ok=True)
        for number, each in enumerate(inputs):
            _write_one(folder / f"{number:04}", each)
        return folder


def read_kept(place: Path) -> list[Input]:
    """The inputs of a finding, in their order.

    Args:
        place: a file or a folder that a run has written.
    """
    paths = sorted(place.iterdir()) if place.is_dir() else [place]
    return [Input(path.suffix.removeprefix("."), path.read_bytes()) for path in paths]


def _write_one(path: Path, sent: Input) -> Path:
    """The kind is the file's ending."""
    path = path.with_name(f"{path.name}.{sent.kind}")
    path.write_bytes(sent.content)
    return path


def _without_figures(words: str) -> str:
    return re.sub(r"[0-9]+|'[^']*'|\"[^\"]*\"", "#", words)[:60]
