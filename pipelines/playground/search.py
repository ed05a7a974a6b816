"""Look for inputs that the engines answer differently: seeded, bounded, a batch at a time."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from models.contract import Contract, Tensors, TensorSpec
from models.dataset import Split
from models.errors import ServerFault
from pipelines.playground.engines import Absent, Engine
from pipelines.playground.reading import Kind, plain_row
from pipelines.playground.scan import Adjustment, Frame, bounds

BATCH = 32
BUDGET = 2048
"""Inputs tried at most."""
DEADLINE_SECONDS = 45.0
WANTED = 6
HALVINGS = 4
"""Steps towards the smallest change that still divides them."""
CROSSED, CROSSINGS = 2, 10
"""Changes of a batch that turn everybody's answer and are followed, and steps towards where only some turn."""
FIRST_ROWS = 512
"""Rows of the test split that are tried as they are, before any is changed."""
SWAPPED = 0.3
"""How often a word is exchanged for another, at full strength."""
NAMED_CHANGES = 3
SIDES: dict[Kind, tuple[str, ...]] = {
    "any": ("tfserving", "torchserve", "tflite", "tflite-int8"),
    "frameworks": ("tfserving", "torchserve"),
    "int8": ("tflite", "tflite-int8"),
}
"""Who is compared; a server by its first protocol that can be asked, gRPC before REST."""


@dataclass(frozen=True)
class Candidate:
    """A row, and what was done to it.

    Attributes:
        base: the row as it was, each (1, ...).
        row: its place in the test split; None for a drawing.
        strength: 0 (as it was) to 1.
        seed: of the change.
    """

    base: Tensors
    row: int | None
    strength: float
    seed: int


class Changes:
    """How rows of a case are changed: an image as the sliders do, else number by number and word by word."""

    def __init__(
        self,
        contract: Contract,
        split: Split,
        words: Mapping[str, Sequence[str]],
        frame: Frame | None,
    ) -> None:
        self._contract = contract
        self._words = words
        self._frame = frame
        self._spread = {
            spec.name: _spread(split.inputs[spec.name])
            for spec in contract.inputs
            if not spec.is_text and frame is None
        }

    def inputs(self, candidate: Candidate) -> Tensors:
        """The changed row, each (1, ...)."""
        if not candidate.strength:
            return candidate.base
        if self._frame:
            spec = self._frame.spec
            change = self._adjustment(candidate)
            return {spec.name: change.apply(candidate.base[spec.name][0], spec)[None]}
        draw = np.random.default_rng(candidate.seed)
        return {
            spec.name: self._changed(spec, candidate.base[spec.name], candidate.strength, draw)
            for spec in self._contract.inputs
        }

    def words(self, candidate: Candidate) -> str:
        """What was done, for people; empty where nothing was."""
        if not candidate.strength:
            return ""
        if not self._frame:
            return self._differences(candidate.base, self.inputs(candidate))
        change = self._adjustment(candidate)
        return (
            f"{_way(change.right, 'right', 'left')}, {_way(change.down, 'down', 'up')}, turned "
            f"{change.rotate:+.1f}°, blurred by {change.blur:.2f}, noise {change.noise:.1%}"
        )

    def _differences(self, before: Tensors, after: Tensors) -> str:
        """The words that were exchanged, then the numbers that moved furthest."""
        moved: list[tuple[float, str]] = []
        for spec in self._contract.inputs:
            old, new = before[spec.name].ravel()[0], after[spec.name].ravel()[0]
            if spec.is_text and old != new:
                moved.append((np.inf, f"{spec.name} {old or 'missing'} → {new}"))
            elif not spec.is_text and np.isfinite(new) and old != new:
                way = abs(float(new) - float(old)) / max(1e-9, self._spread[spec.name].max())
                moved.append((way, f"{spec.name} {old:.4g} → {new:.4g}"))
        named = [words for _, words in sorted(moved, key=lambda each: -each[0])]
        more = len(named) - NAMED_CHANGES
        return ", ".join(named[:NAMED_CHANGES]) + (f", {more} more" if more > 0 else "")

    def _adjustment(self, candidate: Candidate) -> Adjustment:
        draw = np.random.default_rng(candidate.seed)
        right, down, turn = draw.uniform(-1, 1, 3) * candidate.strength
        blur, noise = draw.uniform(0, 1, 2) * candidate.strength
        return Adjustment(
            right * 1.5, down * 1.5, turn * 30, blur * 0.8, noise * 0.15, candidate.seed
        )

    def _changed(
        self, spec: TensorSpec, rows: np.ndarray, strength: float, draw: np.random.Generator
    ) -> np.ndarray:
        step, swap = draw.normal(0, 1, spec.shape), draw.uniform()
        if spec.is_text:
            known = self._words[spec.name]
            other = known[int(draw.integers(len(known)))] if known else str(rows[0])
            return np.array([other]) if swap < SWAPPED * strength else rows
        low, high = bounds(spec) if spec.high is not None else (-np.inf, np.inf)
        found = rows + step * self._spread[spec.name] * strength
        whole = np.dtype(spec.dtype).kind in "iu" or bool((rows == np.round(rows)).all())
        clipped = np.clip(np.round(found) if whole else found, low, high)
        changed: np.ndarray = clipped.astype(spec.dtype)
        return changed


class Search:
    """One search. ``steps`` yields what the page is told, as JSON has it.

    Args:
        contract: the model's.
        engines: whom there is.
        kind: which of them must differ.
        changes: how rows are changed.
        split: where rows come from.
        start: one row to start from instead, each (1, ...).
        seed: of rows and changes; the same seed tries the same inputs.
    """

    def __init__(
        self,
        contract: Contract,
        engines: Sequence[Engine],
        kind: Kind,
        changes: Changes,
        split: Split,
        start: Tensors | None,
        seed: int,
    ) -> None:
        self._contract = contract
        self._engines = _compared(engines, kind)
        self._changes = changes
        self._split = split
        self._start = start
        self._seed = seed

    def steps(self) -> Iterator[dict[str, Any]]:
        """Progress after every batch, and every find; the last one says ``done`` and why.

        Raises:
            ServerFault: fewer than two engines can be asked.
            TwinServeError: one stopped answering.
        """
        if len(self._engines) < 2:
            raise ServerFault("Fewer than two engines can be asked, so none can differ.", "503")
        began, tried, found = time.monotonic(), 0, 0
        for batch in _batches(self._candidates()):
            for each in self._dividing(batch):
                if found < WANTED:
                    found += 1
                    yield {"found": self._smallest(each)}
            tried += len(batch)
            yield {"tried": tried, "of": BUDGET, "finds": found}
            late = time.monotonic() - began > DEADLINE_SECONDS
            if found >= WANTED or tried >= BUDGET or late:
                why = "enough" if found >= WANTED else "time" if late else "budget"
                yield {"done": why, "tried": tried, "finds": found}
                return

    def _candidates(self) -> Iterator[Candidate]:
        """Rows as they are first, then changed ever more; no end."""
        draw = np.random.default_rng(self._seed)
        order = draw.permutation(len(self._split))
        if self._start is None:
            yield from (self._row(int(row), 0.0, 0) for row in order[:FIRST_ROWS])
        else:
            yield Candidate(self._start, None, 0.0, 0)
        for number in itertools.count():
            strength, seed = min(1.0, 0.2 + number / BUDGET), int(draw.integers(2**32))
            if self._start is None:
                yield self._row(int(order[number % len(order)]), strength, seed)
            else:
                yield Candidate(self._start, None, strength, seed)

    def _row(self, row: int, strength: float, seed: int) -> Candidate:
        base = self._split.rows(slice(row, row + 1)).inputs
        return Candidate(base, row, strength, seed)

    def _dividing(self, batch: Sequence[Candidate]) -> Iterator[Candidate]:
        """Those of the batch that do not get the same label from everybody, and what lies between two labels.

        A change that turns everybody's answer crosses every boundary, and those hardly ever lie at one place.
        """
        labels = self._labels(batch)
        divided = _differ(labels)
        yield from itertools.compress(batch, divided)
        if not any(each.strength for each in batch):
            return
        before = self._labels([replace(each, strength=0.0) for each in batch])[0]
        turned = ~divided & (labels[0] != before)
        for each in itertools.islice(itertools.compress(batch, turned), CROSSED):
            if between := self._between(each):
                yield between

    def _between(self, candidate: Candidate) -> Candidate | None:
        """The same change, so strong that some answers have turned and some have not; by halving."""
        low, high = replace(candidate, strength=0.0), candidate
        before = self._labels([low])[0]
        for _ in range(CROSSINGS):
            middle = replace(candidate, strength=(low.strength + high.strength) / 2)
            labels = self._labels([middle])
            if _differ(labels).any():
                return middle
            low, high = (middle, high) if (labels[0] == before).all() else (low, middle)
        return None

    def _labels(self, batch: Sequence[Candidate]) -> np.ndarray:
        """(engines, candidates): the label that each gives each."""
        rows = [self._changes.inputs(each) for each in batch]
        inputs = {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}
        return np.stack(
            [self._contract.predicted_labels(each.ask(inputs).outputs) for each in self._engines]
        )

    def _smallest(self, candidate: Candidate) -> dict[str, Any]:
        """The same change, only as strong as it must be; found by halving."""
        low, best = 0.0, candidate
        for _ in range(HALVINGS if candidate.strength else 0):
            middle = replace(candidate, strength=(low + best.strength) / 2)
            if _differ(self._labels([middle])).any():
                best = middle
            else:
                low = middle.strength
        label = None if best.row is None else int(self._split.labels[best.row])
        return {
            "inputs": plain_row(self._changes.inputs(best)),
            "row": best.row,
            "label": label,
            "change": self._changes.words(best),
            "said": self._said(self._changes.inputs(best)),
        }

    def _said(self, inputs: Tensors) -> list[dict[str, Any]]:
        answers = [
            (each.key, each.ask(inputs).outputs[self._contract.scores][0]) for each in self._engines
        ]
        return [
            {"engine": key, "winner": int(scores.argmax()), "score": float(scores.max())}
            for key, scores in answers
        ]


def _differ(labels: np.ndarray) -> np.ndarray:
    """(candidates,): whether the engines, which are the rows, give it different labels."""
    different: np.ndarray = (labels != labels[0]).any(0)
    return different


def _compared(engines: Sequence[Engine], kind: Kind) -> list[Engine]:
    asked = {each.key: each for each in engines if not isinstance(each, Absent)}
    sides = [
        next((asked[key] for key in (f"{side}-grpc", f"{side}-rest", side) if key in asked), None)
        for side in SIDES[kind]
    ]
    return [each for each in sides if each]


def _spread(rows: np.ndarray) -> np.ndarray:
    """Standard deviation over the rows, missing ones left out; 0 where all are missing."""
    known = np.ma.masked_invalid(rows.astype(np.float64))
    return np.asarray(np.ma.filled(known.std(axis=0), 0.0))


def _way(cells: float, ahead: str, back: str) -> str:
    return f"{abs(cells):.2f} {ahead if cells >= 0 else back}"


def _batches(candidates: Iterator[Candidate]) -> Iterator[list[Candidate]]:
    while batch := list(itertools.islice(candidates, BATCH)):
        yield batch
