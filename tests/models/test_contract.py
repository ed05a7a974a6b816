"""The contract: names, edge rows, winning labels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.contract import UNSEEN, Contract, TensorSpec
from models.errors import ContractMismatch

CONTRACT = Contract(
    inputs=(
        TensorSpec("distance", "float32", (), "miles", low=17, high=4983),
        TensorSpec("hour", "int64", (), "0 to 23", low=0, high=23),
        TensorSpec("patch", "float32", (2, 3), low=-1.5, high=1.5),
    ),
    outputs=(TensorSpec("logits", "float32", (2,)), TensorSpec("probabilities", "float32", (2,))),
    labels=("on time", "late"),
    scores="probabilities",
    logits="logits",
)


def test_names_keep_the_contracts_order():
    assert CONTRACT.input_names == ("distance", "hour", "patch")
    assert CONTRACT.output_names == ("logits", "probabilities")


def test_the_batch_axis_stands_in_front():
    assert CONTRACT.inputs[2].batch(7) == (7, 2, 3)
    assert CONTRACT.inputs[0].batch(7) == (7,)


def test_edge_inputs_are_all_lowest_and_all_highest():
    edge = CONTRACT.edge_inputs()
    assert {name: (rows.dtype.name, rows.shape) for name, rows in edge.items()} == {
        "distance": ("float32", (2,)),
        "hour": ("int64", (2,)),
        "patch": ("float32", (2, 2, 3)),
    }
    assert edge["hour"].tolist() == [0, 23]
    assert (edge["patch"][0] == -1.5).all()
    assert (edge["patch"][1] == 1.5).all()


def test_edge_inputs_without_bounds_are_zero():
    free = replace(CONTRACT, inputs=(TensorSpec("x", "float32", (2,)),))
    assert free.edge_inputs()["x"].tolist() == [[0, 0], [0, 0]]


def test_the_winning_class_is_that_of_the_scores():
    outputs = {
        "logits": np.array([[9, 0], [9, 0]], np.float32),
        "probabilities": np.array([[0.4, 0.6], [0.7, 0.3]], np.float32),
    }
    assert CONTRACT.predicted_labels(outputs).tolist() == [1, 0]


@pytest.mark.parametrize("field", ["scores", "logits"])
def test_scores_and_logits_must_be_outputs(field):
    with pytest.raises(ContractMismatch, match=f"{field} names the output 'nothing'"):
        replace(CONTRACT, **{field: "nothing"})


TEXTS = replace(
    CONTRACT,
    inputs=(
        TensorSpec("seats", "float32", (), low=1, high=500, missing=True),
        TensorSpec("month", "float32", (), low=1, high=12),
        TensorSpec("carrier", "string", ()),
        TensorSpec("maker", "string", (), missing=True),
    ),
)


def test_edges_of_text_and_of_what_may_be_missing():
    edge = TEXTS.edge_inputs()
    assert TEXTS.edges == ("all lowest", "all highest", "all missing", "unseen words")
    np.testing.assert_array_equal(edge["seats"], np.array([1, 500, np.nan, 1], np.float32))
    assert edge["month"].tolist() == [1, 12, 1, 1]
    assert edge["carrier"].tolist() == ["", "~" * 64, "", UNSEEN]
    assert edge["maker"].tolist() == ["", "~" * 64, "", UNSEEN]
    assert len(UNSEEN.encode()) > len(UNSEEN)


def test_edges_without_text_and_gaps_are_two():
    assert CONTRACT.edges == ("all lowest", "all highest")


def test_text_of_any_width_is_admitted_and_bytes_are_not():
    spec = TEXTS.inputs[2]
    assert spec.admits(np.array(["UA"])) and spec.admits(np.array(["a longer one"]))
    assert not spec.admits(np.array([b"UA"]))
    assert not spec.admits(np.zeros(1, np.float32))
    assert not TEXTS.inputs[0].admits(np.zeros(1, np.float64))


@pytest.mark.parametrize(
    ("dtype", "shape", "missing", "told"),
    [("string", (2,), False, "one word a row"), ("int64", (), True, "cannot say")],
)
def test_what_text_and_gaps_cannot_be(dtype, shape, missing, told):
    with pytest.raises(ContractMismatch, match=told):
        TensorSpec("x", dtype, shape, missing=missing)
