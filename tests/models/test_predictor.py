"""What a predictor says of itself, held against the contract; and answering in batches."""

from __future__ import annotations

import numpy as np
import pytest

from models.contract import Contract, Tensors, TensorSpec
from models.errors import NameMismatch, ShapeMismatch
from models.predictor import (
    UNSTATED,
    Closing,
    Signature,
    StatedTensor,
    check_signature,
    predict_in_batches,
)

CONTRACT = Contract(
    inputs=(TensorSpec("image", "float32", (8, 8, 1)), TensorSpec("key", "int64", ())),
    outputs=(TensorSpec("scores", "float32", (10,)),),
    labels=tuple("0123456789"),
    scores="scores",
    logits="scores",
)
IMAGE, KEY = StatedTensor("image", "float32", (8, 8, 1)), StatedTensor("key", "int64", ())
SCORES = StatedTensor("scores", "float32", (10,))


@pytest.mark.parametrize(
    "signature",
    [
        Signature((IMAGE, KEY), (SCORES,)),
        Signature((KEY, IMAGE), (SCORES,)),
        Signature((StatedTensor("image"), StatedTensor("key")), (StatedTensor("scores"),)),
        Signature((StatedTensor("image", UNSTATED, (8, 8, 1)), KEY), (SCORES,)),
    ],
)
def test_what_agrees_or_is_not_stated_is_accepted(signature):
    check_signature(CONTRACT, signature)


@pytest.mark.parametrize(
    ("signature", "error", "told"),
    [
        (Signature((IMAGE,), (SCORES,)), NameMismatch, r"The inputs are named \['image'\]"),
        (
            Signature((IMAGE, StatedTensor("keys")), (SCORES,)),
            NameMismatch,
            r"\['image', 'keys'\]; the contract says \['image', 'key'\]",
        ),
        (
            Signature((IMAGE, KEY), (StatedTensor("output_0"),)),
            NameMismatch,
            r"The outputs are named \['output_0'\]",
        ),
        (Signature((IMAGE, KEY), ()), NameMismatch, r"The outputs are named \[\]"),
        (
            Signature((IMAGE, StatedTensor("key", "int32", ())), (SCORES,)),
            ShapeMismatch,
            "key is int32; the contract says int64",
        ),
        (
            Signature((StatedTensor("image", "float32", (1, 8, 8)), KEY), (SCORES,)),
            ShapeMismatch,
            r"image has shape \(1, 8, 8\) a row; the contract says \(8, 8, 1\)",
        ),
        (
            Signature((IMAGE, KEY), (StatedTensor("scores", UNSTATED, (11,)),)),
            ShapeMismatch,
            "scores has shape",
        ),
    ],
)
def test_what_differs_is_named(signature, error, told):
    with pytest.raises(error, match=told):
        check_signature(CONTRACT, signature)


class Doubling(Closing):
    """Notes the sizes of its batches."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.closed = False

    def signature(self) -> Signature:
        return Signature((), ())

    def predict(self, inputs: Tensors) -> dict[str, np.ndarray]:
        assert len({len(rows) for rows in inputs.values()}) == 1
        self.sizes.append(len(inputs["x"]))
        return {"twice": inputs["x"] * 2, "key": inputs["key"]}

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize(("size", "sizes"), [(1, [1] * 5), (2, [2, 2, 1]), (5, [5]), (9, [5])])
def test_batches_are_put_together_in_order(size, sizes):
    predictor = Doubling()
    rows = {"x": np.arange(10.0).reshape(5, 2), "key": np.arange(5)}
    answer = predict_in_batches(predictor, rows, size)
    assert predictor.sizes == sizes
    assert (answer["twice"] == rows["x"] * 2).all()
    assert answer["key"].tolist() == [0, 1, 2, 3, 4]


def test_a_predictor_is_closed_after_its_block_also_by_an_error():
    predictor = Doubling()
    with pytest.raises(ZeroDivisionError), predictor:
        raise ZeroDivisionError
    assert predictor.closed
