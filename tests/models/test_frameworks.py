"""Both frameworks at work: one model before training, weights that fit both, files as others open them."""

from __future__ import annotations

import numpy as np
import pytest

from models.artifact import digest_of
from models.framework import FRAMEWORKS
from models.verbs import BEFORE_TRAINING, INITIAL_WEIGHTS, WEIGHTS
from models.weights import read_weights_file

pytestmark = pytest.mark.frameworks

ACCURATE = 0.85
"""What a few epochs reach; a network that gets its input on another scale does not."""


def initial(trained, framework: str):
    return next((trained.space.home / "initial").glob(f"{framework}-*"))


def test_both_start_from_the_same_bytes(trained):
    digests = {digest_of(initial(trained, name) / INITIAL_WEIGHTS) for name in FRAMEWORKS}
    assert len(digests) == 1


def test_both_agree_on_logits_before_training(trained):
    keras, torch = (np.load(initial(trained, name) / BEFORE_TRAINING) for name in FRAMEWORKS)
    with keras, torch:
        assert keras["logits"].shape == (360, 10)
        assert np.abs(keras["logits"] - torch["logits"]).max() < 1e-5
        assert np.abs(keras["logits"]).max() > 0.1


def test_training_changes_every_weight_but_no_name_and_no_shape(trained):
    for name in FRAMEWORKS:
        before = read_weights_file(initial(trained, name) / INITIAL_WEIGHTS)
        after = read_weights_file(trained.training(name) / WEIGHTS)
        assert {k: v.shape for k, v in before.items()} == {k: v.shape for k, v in after.items()}
        assert [weight for weight in before if (before[weight] == after[weight]).all()] == []


def test_loss_curves_are_recorded_and_lie_on_one_another_at_first(trained):
    keras, torch = (facts.epochs for facts in trained.facts.trainings)
    assert [epoch.number for epoch in keras] == [epoch.number for epoch in torch] == [1, 2, 3, 4]
    assert keras[0].loss == pytest.approx(torch[0].loss, rel=0.1)  # dropout draws differ
    assert keras[-1].loss < keras[0].loss / 2
    assert torch[-1].loss < torch[0].loss / 2


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_weights_of_the_other_answer_the_same(verified, framework):
    (row,) = (row for row in verified[framework].parity if row.stage == "same model")
    assert row.passed
    assert row.max_abs < 1e-4
    assert row.rows == 360


def test_the_saved_model_has_one_signature_named_by_the_contract(look_into):
    seen = look_into("saved_model")
    assert seen["signatures"] == ["serving_default"]
    assert seen["inputs"] == {"image": [None, 8, 8, 1]}
    assert seen["outputs"] == {"logits": [None, 10], "probabilities": [None, 10]}


def test_the_tflite_file_is_float32_in_and_out(look_into):
    seen = look_into("tflite")["float32"]
    assert seen["inputs"] == {"image": "float32"}
    assert seen["outputs"] == {"logits": "float32", "probabilities": "float32"}


def test_the_int8_file_is_integers_throughout(look_into):
    seen = look_into("tflite")["int8"]
    assert seen["inputs"] == {"image": "int8"}
    assert seen["outputs"] == {"logits": "int8", "probabilities": "int8"}
    assert all(scale > 0 for scale in seen["scales"])
    assert not [kind for kind in seen["kinds"] if kind.startswith("float")]


def test_torchscript_is_scripted_and_frozen(look_into):
    seen = look_into("torchscript")
    assert seen["arguments"] == ["image"]
    assert seen["outputs"] == ["logits", "probabilities"]
    assert seen["parameters"] == 0
    assert not seen["has_mode"]
    assert "prim::GetAttr" not in seen["graph"]
    assert "aten::dropout" not in seen["graph"]


@pytest.mark.parametrize(
    ("kind", "form"),
    [("saved_model", None), ("tflite", "float32"), ("tflite", "int8"), ("torchscript", None)],
)
def test_every_file_takes_raw_pixels_at_any_batch_size_and_answers_the_same_twice(
    look_into, kind, form
):
    seen = look_into(kind)[form] if form else look_into(kind)
    assert seen["batches"] == {"1": [1, 10], "7": [7, 10], "33": [33, 10]}
    assert seen["same_twice"]
    assert seen["accuracy"] > ACCURATE


@pytest.mark.parametrize("kind", ["saved_model", "torchscript"])
def test_a_client_that_scales_as_well_gets_another_answer(look_into, kind):
    assert look_into(kind)["scaled_by_client"] > 0.1
