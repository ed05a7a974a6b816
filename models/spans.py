"""Which spans of a case's rows are learned from, and which are tested on: a month, say, is a span."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from models.dataset import SPLITS, Split, StoredDataset
from models.errors import SpanError

VALIDATION_EVERY = 10
"""Of the train spans' rows, every tenth draws the validation curve. Nothing is chosen by it."""


@dataclass(frozen=True)
class Spans:
    """A choice of spans by number; tested on later ones than learned from.

    Attributes:
        train: learned from; every tenth row of them is the validation split.
        test: neither learned from nor looked at before.
    """

    train: tuple[int, ...]
    test: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.train or not self.test or max(self.train) >= min(self.test):
            raise SpanError(
                f"Spans {list(self.train)} to learn from and {list(self.test)} to test on: there must be some of "
                "both, and the latter must come later.",
                "Testing on what came before would be testing on what is known.",
            )

    def cut(self, whole: StoredDataset, column: str) -> Iterator[tuple[str, Split]]:
        """These spans of a case's rows, in their order, part by part.

        Args:
            whole: all rows, however they are split.
            column: the input that holds a row's span.

        Raises:
            SpanError: there are no rows of a span.
        """
        seen: set[int] = set()
        known = 0
        for part in _parts(whole):
            numbers = part.inputs[column]
            seen.update(map(int, np.unique(numbers)))
            learned = part.rows(np.flatnonzero(np.isin(numbers, self.train)))
            places = known + np.arange(len(learned))
            known += len(learned)
            validates = places % VALIDATION_EVERY == VALIDATION_EVERY - 1
            yield from _some("train", learned.rows(np.flatnonzero(~validates)))
            yield from _some("validation", learned.rows(np.flatnonzero(validates)))
            yield from _some("test", part.rows(np.flatnonzero(np.isin(numbers, self.test))))
        for number in (*self.train, *self.test):
            if number not in seen:
                raise SpanError(
                    f"Span {number} is missing: no row has {column} {number}.",
                    "Wait until it has arrived, or leave it out.",
                )


def spans_in(whole: StoredDataset, column: str) -> list[int]:
    """Numbers of the spans that have rows, lowest first."""
    found = {int(number) for part in _parts(whole) for number in np.unique(part.inputs[column])}
    return sorted(found)


def _parts(whole: StoredDataset) -> Iterator[Split]:
    for name in SPLITS:
        yield from getattr(whole, name).parts()


def _some(name: str, rows: Split) -> Iterator[tuple[str, Split]]:
    if len(rows):
        yield name, rows
