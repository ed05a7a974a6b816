"""Splits, their digest, the order of batches, and what a data set is refused for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.contract import Contract, TensorSpec
from models.dataset import Dataset, Split, batch_order, spread_over
from models.errors import ArtifactCorrupt, CaseError

CONTRACT = Contract(
    inputs=(TensorSpec("x", "float32", (2,)), TensorSpec("key", "int64", ())),
    outputs=(TensorSpec("scores", "float32", (3,)),),
    labels=("a", "b", "c"),
    scores="scores",
    logits="scores",
)


def split(rows: int) -> Split:
    x = np.arange(rows * 2, dtype=np.float32).reshape(rows, 2)
    return Split({"x": x, "key": np.arange(rows)}, np.arange(rows) % 3)


def dataset() -> Dataset:
    return Dataset(split(6), split(3), split(4))


def test_the_same_rows_have_the_same_digest():
    assert dataset().digest() == dataset().digest()


@pytest.mark.parametrize("name", Dataset.SPLITS)
@pytest.mark.parametrize("tensor", ["x", "key", "labels"])
def test_any_changed_byte_changes_the_digest(name, tensor):
    changed = dataset()
    part = getattr(changed, name)
    array = part.labels if tensor == "labels" else part.inputs[tensor]
    array.view(np.uint8).reshape(-1)[-1] ^= 1
    assert changed.digest() != dataset().digest()


def test_names_dtypes_shapes_and_splits_are_in_the_digest():
    train, validation, test = split(6), split(3), split(4)
    x, key = train.inputs["x"], train.inputs["key"]
    others = [
        Dataset(Split({"y": x, "key": key}, train.labels), validation, test),
        Dataset(Split({"x": x.view(np.int32), "key": key}, train.labels), validation, test),
        Dataset(Split({"x": x.reshape(6, 1, 2), "key": key}, train.labels), validation, test),
        Dataset(train, test, validation),
    ]
    digests = {other.digest() for other in others} | {dataset().digest()}
    assert len(digests) == 5


def test_a_transposed_view_has_the_digest_of_its_copy():
    rows = np.arange(12, dtype=np.float32).reshape(2, 6).T
    of = [Dataset(Split({"x": x}, np.arange(6)), split(3), split(4)) for x in (rows, rows.copy())]
    assert of[0].digest() == of[1].digest()


def test_written_and_read_again(tmp_path: Path):
    dataset().write(tmp_path / "dataset.npz")
    read = Dataset.read(tmp_path / "dataset.npz")
    assert read.digest() == dataset().digest()
    assert read.test.inputs["key"].dtype == np.int64


@pytest.mark.parametrize("damage", ["gone", "cut off", "another file"])
def test_a_file_that_is_no_data_set_is_refused(tmp_path: Path, damage):
    path = tmp_path / "dataset.npz"
    dataset().write(path)
    if damage == "gone":
        path.unlink()
    elif damage == "cut off":
        path.write_bytes(path.read_bytes()[:300])
    else:
        np.savez(path, something=np.zeros(3))
    with pytest.raises(ArtifactCorrupt, match=r"dataset\.npz cannot be read"):
        Dataset.read(path)


@given(
    rows=st.integers(1, 200),
    batch_size=st.integers(1, 64),
    epoch=st.integers(0, 50),
    seed=st.integers(0, 2**31),
)
def test_every_epoch_covers_every_row_once(rows, batch_size, epoch, seed):
    batches = batch_order(rows, batch_size, epoch, seed)
    assert sorted(np.concatenate(batches).tolist()) == list(range(rows))
    assert all(len(batch) == batch_size for batch in batches[:-1])
    assert 0 < len(batches[-1]) <= batch_size


def test_the_order_is_the_same_for_both_and_another_for_each_epoch_and_seed():
    def order(epoch: int, seed: int) -> list[int]:
        return np.concatenate(batch_order(100, 32, epoch, seed)).tolist()

    assert order(3, 7) == order(3, 7)
    assert len({tuple(order(epoch, seed)) for epoch in (0, 1) for seed in (7, 8)}) == 4


def test_rows_are_taken_from_every_tensor():
    some = split(6).rows(np.array([4, 1]))
    assert some.inputs["key"].tolist() == [4, 1]
    assert some.inputs["x"].tolist() == [[8, 9], [2, 3]]
    assert some.labels.tolist() == [1, 1]
    assert len(some) == 2


def test_a_sound_data_set_is_accepted():
    dataset().check(CONTRACT)


def with_test(**changes: object) -> Dataset:
    return replace(dataset(), test=replace(split(4), **changes))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"inputs": {"x": split(4).inputs["x"]}}, r"test split has inputs \['x'\]"),
        ({"inputs": split(4).inputs | {"z": np.zeros(4)}}, r"\['key', 'x', 'z'\]"),
        ({"inputs": split(4).inputs | {"key": np.zeros(4)}}, r"key of the test .* float64\(4,\)"),
        (
            {"inputs": split(4).inputs | {"x": np.zeros((4, 3), np.float32)}},
            r"x of the test split is float32\(4, 3\); the contract says float32\(4, 2\)",
        ),
        ({"inputs": split(5).inputs}, r"float32\(5, 2\); the contract says float32\(4, 2\)"),
        ({"labels": np.array([0, 1, 2, 3])}, r"not one of \['a', 'b', 'c'\]"),
        ({"labels": np.array([0, -1, 2, 1])}, "A label of the test split"),
    ],
)
def test_a_data_set_that_disagrees_with_the_contract_is_refused(changes, told):
    with pytest.raises(CaseError, match=told):
        with_test(**changes).check(CONTRACT)


@pytest.mark.parametrize("name", Dataset.SPLITS)
def test_an_empty_split_is_refused(name):
    with pytest.raises(CaseError, match=f"The {name} split has no rows"):
        replace(dataset(), **{name: split(0)}).check(CONTRACT)


TEXTS = Contract(
    inputs=(TensorSpec("word", "string", ()), TensorSpec("size", "float32", (), missing=True)),
    outputs=CONTRACT.outputs,
    labels=CONTRACT.labels,
    scores="scores",
    logits="scores",
)


def texts(*words: str) -> Split:
    size = np.full(len(words), np.nan, np.float32)
    return Split({"word": np.array(words), "size": size}, np.zeros(len(words), np.int64))


def test_text_and_gaps_survive_the_file(tmp_path):
    written = Dataset(texts("a", ""), texts("Zürich ✈"), texts("b"))
    written.check(TEXTS)
    written.write(tmp_path / "d.npz")
    read = Dataset.read(tmp_path / "d.npz")
    assert read.digest() == written.digest()
    assert read.train.inputs["word"].tolist() == ["a", ""]
    assert read.validation.inputs["word"].tolist() == ["Zürich ✈"]
    only = Dataset.read_split(tmp_path / "d.npz", "test")
    assert only.inputs["word"].tolist() == ["b"]
    assert np.isnan(only.inputs["size"]).all()


def test_a_gap_that_the_contract_does_not_know_is_refused():
    full = replace(TEXTS, inputs=(TEXTS.inputs[0], TensorSpec("size", "float32", ())))
    with pytest.raises(CaseError, match="size of the train split holds NaN"):
        Dataset(texts("a"), texts("a"), texts("a")).check(full)


def test_words_instead_of_numbers_are_refused():
    wrong = Split(
        {"word": np.zeros(1, np.float32), "size": np.zeros(1, np.float32)}, np.zeros(1, int)
    )
    with pytest.raises(CaseError, match=r"word of the train split is float32\(1,\)"):
        Dataset(wrong, texts("a"), texts("a")).check(TEXTS)


def test_a_sample_is_spread_evenly_and_keeps_each_splits_share():
    sampled = Dataset(split(60), split(20), split(20)).sample(10)
    assert [len(getattr(sampled, name)) for name in Dataset.SPLITS] == [6, 2, 2]
    assert sampled.train.inputs["key"].tolist() == [0, 10, 20, 30, 40, 50]
    assert sampled.train.labels.tolist() == [0, 1, 2, 0, 1, 2]
    assert dataset().sample(1000).digest() == dataset().digest()


@given(st.integers(1, 200), st.integers(1, 250))
def test_spread_rows_are_different_and_in_order(rows, count):
    places = spread_over(rows, count)
    assert len(places) == min(rows, count)
    assert (np.diff(places) > 0).all()
    assert places[0] == 0 and places[-1] < rows
