"""Constants of preprocessing: what is computed, what is refused, and what they make of raw rows."""

from __future__ import annotations

import json

import numpy as np
import pytest

from models.constants import compute_constants, features, read_constants, write_constants
from models.contract import Contract, TensorSpec
from models.dataset import Split
from models.errors import ArtifactCorrupt, CaseError

CONTRACT = Contract(
    inputs=(TensorSpec("size", "float32", (), missing=True), TensorSpec("word", "string", ())),
    outputs=(TensorSpec("scores", "float32", (2,)),),
    labels=("a", "b"),
    scores="scores",
    logits="scores",
)
TRAIN = Split(
    {
        "size": np.array([1, np.nan, 3, np.nan, 5, 7], np.float32),
        "word": np.array(["b", "c", "", "a", "b", "Zürich"]),
    },
    np.zeros(6, np.int64),
)


def constants():
    return compute_constants(CONTRACT, TRAIN, "d" * 64)


def test_numbers_are_scaled_by_what_is_there():
    assert constants()["numeric"] == {"size": {"mean": 4.0, "std": 5**0.5, "missing": 4.0}}


def test_words_are_ordered_by_frequency_then_alphabet_and_the_missing_one_is_none():
    assert constants()["categorical"] == {"word": {"vocabulary": ["b", "Zürich", "a", "c"]}}


def test_the_document_says_where_it_comes_from_and_survives_its_file(tmp_path):
    write_constants(tmp_path / "constants.json", constants())
    read = read_constants(tmp_path / "constants.json", CONTRACT)
    assert read == constants()
    assert (read["format"], read["rows"], read["data_digest"]) == (1, 6, "d" * 64)
    assert read["source"] == f"numpy {np.__version__}"


def test_features_of_raw_rows():
    raw = {
        "size": np.array([4, np.nan, 9], np.float32),
        "word": np.array(["a", "", "no such word"]),
    }
    found = features(constants(), raw)
    assert found["word"].tolist() == [4, 0, 1]
    np.testing.assert_allclose(found["size"], [0, 0, 5**0.5], rtol=1e-6)
    assert found["size"].dtype == np.float32


def test_a_constant_column_is_not_divided_by_zero():
    same = Split({**TRAIN.inputs, "size": np.full(6, 3, np.float32)}, TRAIN.labels)
    assert compute_constants(CONTRACT, same, "")["numeric"]["size"]["std"] == 1.0


def test_a_column_without_any_value_is_named():
    empty = Split({**TRAIN.inputs, "size": np.full(6, np.nan, np.float32)}, TRAIN.labels)
    with pytest.raises(CaseError, match="size of the train split has no value"):
        compute_constants(CONTRACT, empty, "")


def test_a_document_that_lacks_a_column_is_refused(tmp_path):
    path = tmp_path / "constants.json"
    path.write_text(json.dumps({**constants(), "categorical": {}}))
    with pytest.raises(CaseError, match="no constants for word"):
        read_constants(path, CONTRACT)


@pytest.mark.parametrize(
    "text", ["{", "{}", "[]", '{"format": 2, "numeric": {}, "categorical": {}}']
)
def test_what_is_no_such_document_is_refused(tmp_path, text):
    path = tmp_path / "constants.json"
    path.write_text(text)
    with pytest.raises(ArtifactCorrupt, match="cannot be read as constants"):
        read_constants(path, CONTRACT)
