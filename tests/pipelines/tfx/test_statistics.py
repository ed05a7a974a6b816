"""Histograms on bins that all splits share; no TFX needed."""

from __future__ import annotations

import numpy as np
import pytest

from models.dataset import Dataset, Split
from pipelines.tfx.statistics import BINS, TOP, bin_edges, commonest, shared_histograms

NAN = np.nan


def dataset(**splits: dict[str, list[object]]) -> Dataset:
    def split(columns: dict[str, list[object]]) -> Split:
        inputs = {name: np.array(values) for name, values in columns.items()}
        return Split(inputs, np.zeros(len(next(iter(inputs.values()))), dtype=np.int64))

    return Dataset(**{name: split(splits[name]) for name in Dataset.SPLITS})


def test_every_row_is_in_one_bin_or_missing() -> None:
    found = shared_histograms(
        dataset(
            train={"x": [0.0, 0.5, 10.0, NAN], "word": ["a", "a", "b", ""]},
            validation={"x": [20.0, NAN], "word": ["c", "a"]},
            test={"x": [NAN], "word": [""]},
        )
    )
    number, word = found["x"], found["word"]
    assert (number["edges"][0], number["edges"][-1], len(number["edges"])) == (0, 20, BINS + 1)
    assert sum(number["shares"]["train"]) == pytest.approx(0.75)
    assert number["shares"]["train"][0] == pytest.approx(0.5)
    assert number["shares"]["validation"][-1] == pytest.approx(
        0.5
    )  # the largest is in the last bin
    assert sum(number["shares"]["test"]) == 0
    assert word["values"] == ["a", "b", "c"]
    assert word["shares"] == {
        "train": [0.5, 0.25, 0],
        "validation": [0.5, 0, 0.5],
        "test": [0, 0, 0],
    }


def test_few_whole_numbers_get_a_bin_each() -> None:
    assert bin_edges(np.array([1.0, 3.0, NAN])).tolist() == [0.5, 1.5, 2.5, 3.5]
    assert len(bin_edges(np.array([1.0, 1000.0]))) == BINS + 1
    assert bin_edges(np.array([4.0])).tolist() == [3.5, 4.5]
    assert bin_edges(np.array([2.5, 2.5])).tolist() == [2, 3]
    assert bin_edges(np.array([NAN])).tolist() == []


def test_the_commonest_texts_are_in_an_order_that_does_not_change() -> None:
    assert commonest(np.array(["b", "a", "", "", "", "c", "c"])) == ["c", "a", "b"]
    assert len(commonest(np.array([str(n) for n in range(20)]))) == TOP
