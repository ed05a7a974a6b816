"""Which spans are learned from and which are tested on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.dataset import Dataset, Split, StoredDataset, write_parts
from models.errors import SpanError
from models.spans import Spans, spans_in

ROWS = 50


def rows_of(months: list[int]) -> Split:
    column = np.repeat(months, ROWS).astype(np.float32)
    return Split({"month": column, "row": np.arange(len(column)) + 1000 * column}, column % 2 == 0)


WHOLE = Dataset(train=rows_of([1, 2, 3]), validation=rows_of([4]), test=rows_of([5, 6]))


@pytest.fixture
def whole(tmp_path: Path) -> StoredDataset:
    WHOLE.write(tmp_path / "rows")
    return StoredDataset.open(tmp_path / "rows")


def cut_of(spans: Spans, whole: StoredDataset, folder: Path) -> Dataset:
    write_parts(folder, spans.cut(whole, "month"))
    return Dataset.read(folder)


def test_a_later_span_is_tested_on_and_the_earlier_ones_are_learned_from(
    whole: StoredDataset, tmp_path: Path
) -> None:
    cut = cut_of(Spans((1, 2, 3, 4), (5,)), whole, tmp_path / "cut")
    assert set(cut.test.inputs["month"]) == {5}
    assert set(cut.train.inputs["month"]) == set(cut.validation.inputs["month"]) == {1, 2, 3, 4}
    assert (len(cut.train), len(cut.validation), len(cut.test)) == (180, 20, 50)
    everything = np.concatenate([cut.train.inputs["row"], cut.validation.inputs["row"]])
    assert len(np.unique(everything)) == 200, "no row is in both"
    assert spans_in(whole, "month") == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    ("train", "test"), [((1, 2, 5), (5,)), ((3,), (2,)), ((), (2,)), ((1,), ())]
)
def test_nothing_is_tested_on_what_came_before(
    train: tuple[int, ...], test: tuple[int, ...]
) -> None:
    with pytest.raises(SpanError, match="must come later"):
        Spans(train, test)


def test_a_span_without_rows_is_named(whole: StoredDataset, tmp_path: Path) -> None:
    with pytest.raises(SpanError, match="Span 9 is missing"):
        cut_of(Spans((1, 2), (9,)), whole, tmp_path / "cut")
