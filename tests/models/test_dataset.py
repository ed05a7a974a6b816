"""Splits, their digest, the order of batches, and what a data set is refused for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.contract import Contract, TensorSpec
from models.dataset import INDEX, Dataset, Split, StoredDataset, write_parts
from models.errors import ArtifactCorrupt, CaseError
from models.shards import MOST_BYTES, MOST_ROWS
from models.split import spread_over

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
    dataset().write(tmp_path / "dataset")
    read = Dataset.read(tmp_path / "dataset")
    assert read.digest() == dataset().digest()
    assert read.test.inputs["key"].dtype == np.int64


SHARD = "train-00000.safetensors"


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        ("no folder", r"dataset cannot be read as a data set"),
        ("no index", r"dataset cannot be read as a data set"),
        ("index cut off", r"dataset cannot be read as a data set"),
        ("another format", r"its format is 0, not 1"),
        ("shard gone", rf"{SHARD} cannot be read as a shard"),
        ("shard cut off", rf"{SHARD} cannot be read as a shard.*not those that were written"),
        ("a changed bit", rf"{SHARD} cannot be read as a shard.*not those that were written"),
        ("another shard", rf"{SHARD} cannot be read as a shard.*not those that were written"),
    ],
)
def test_what_is_damaged_is_refused_by_name(tmp_path: Path, damage, told):
    path = tmp_path / "dataset"
    dataset().write(path)
    index, shard = path / INDEX, path / SHARD
    content = bytearray(shard.read_bytes())
    content[-1] ^= 1
    deeds = {
        "no folder": lambda: path.rename(tmp_path / "elsewhere"),
        "no index": index.unlink,
        "index cut off": lambda: index.write_text(index.read_text()[:200]),
        "another format": lambda: index.write_text(
            index.read_text().replace('"format": 1', '"format": 0')
        ),
        "shard gone": shard.unlink,
        "shard cut off": lambda: shard.write_bytes(shard.read_bytes()[:-8]),
        "a changed bit": lambda: shard.write_bytes(content),
        "another shard": lambda: shard.write_bytes((path / "test-00000.safetensors").read_bytes()),
    }
    deeds[damage]()
    with pytest.raises(ArtifactCorrupt, match=told):
        Dataset.read(path)


def test_rows_that_come_in_parts_make_the_shards_of_rows_that_come_at_once(tmp_path: Path):
    whole = dataset()
    whole.write(tmp_path / "at once")
    pieces = [
        (name, part.rows(slice(start, start + 2)))
        for start in range(0, 6, 2)
        for name, part in whole.parts()
    ]
    stored = write_parts(tmp_path / "in parts", pieces)
    assert stored.digest == whole.digest() == StoredDataset.open(tmp_path / "at once").digest
    assert stored.train.read().inputs["key"].tolist() == list(range(6))


def test_a_shard_ends_at_its_rows_or_its_bytes(tmp_path: Path):
    row = MOST_BYTES // 4 // 8
    wide = Split({"x": np.zeros((9, row), np.float64)}, np.zeros(9, np.int64))
    long = Split({"x": np.arange(2 * MOST_ROWS + 1)}, np.zeros(2 * MOST_ROWS + 1, np.int64))
    Dataset(long, long.rows(slice(0, 3)), long.rows(slice(0, 1))).write(tmp_path / "long")
    shards = StoredDataset.open(tmp_path / "long").train
    assert [shard.rows for shard in shards.shards] == [MOST_ROWS, MOST_ROWS, 1]
    assert shards.rows(np.array([1, MOST_ROWS, 2 * MOST_ROWS])).inputs["x"].tolist() == [
        1,
        MOST_ROWS,
        2 * MOST_ROWS,
    ]
    Dataset(wide, wide, wide).write(tmp_path / "wide")
    assert [shard.rows for shard in StoredDataset.open(tmp_path / "wide").test.shards] == [3, 3, 3]


@pytest.mark.parametrize("damage", ["an empty split", "another input"])
def test_parts_that_make_no_data_set_leave_no_index(tmp_path: Path, damage):
    parts = list(dataset().parts())
    if damage == "an empty split":
        del parts[1]
    else:
        parts.append(("train", Split({"y": np.zeros(6)}, np.zeros(6, np.int64))))
    with pytest.raises(
        CaseError, match=r"validation split has no rows|now labels .*inputs/y float64"
    ):
        write_parts(tmp_path / "dataset", parts)
    with pytest.raises(ArtifactCorrupt):
        StoredDataset.open(tmp_path / "dataset")


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
    written.write(tmp_path / "d")
    read = Dataset.read(tmp_path / "d")
    assert read.digest() == written.digest()
    assert read.train.inputs["word"].tolist() == ["a", ""]
    assert read.validation.inputs["word"].tolist() == ["Zürich ✈"]
    only = Dataset.read_split(tmp_path / "d", "test")
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
