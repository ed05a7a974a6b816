"""The one comparison: names, then shapes, then values, labels and accuracy."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from models.contract import Contract, TensorSpec
from models.errors import NameMismatch, NotFinite, ShapeMismatch
from models.parity import Tolerance, compare

CONTRACT = Contract(
    inputs=(TensorSpec("x", "float32", (1,)),),
    outputs=(TensorSpec("logits", "float32", (2,)), TensorSpec("scores", "float32", (2,))),
    labels=("a", "b"),
    scores="scores",
    logits="logits",
)
TIGHT = Tolerance(atol=1e-6)
FLOATS = arrays.arrays(np.float32, (4, 2), elements=st.floats(-1e6, 1e6, width=32))


def outputs(**changes: np.ndarray) -> dict[str, np.ndarray]:
    """Four rows; the winners are b, a, b, a."""
    scores = np.array([[0.2, 0.8], [0.9, 0.1], [0.4, 0.6], [0.7, 0.3]], np.float32)
    return {"logits": scores * 10, "scores": scores, **changes}


def test_equal_answers_pass_with_no_difference():
    parity = compare(CONTRACT, outputs(), outputs(), Tolerance(atol=0.0))
    assert parity.passed
    assert (parity.rows, parity.max_abs, parity.max_rel, parity.label_agreement) == (4, 0, 0, 1)
    assert parity.accuracy is parity.reference_accuracy is None


@pytest.mark.parametrize(
    "candidate",
    [
        {"scores": outputs()["scores"]},
        {**outputs(), "more": outputs()["scores"]},
        {"logit": outputs()["logits"], "scores": outputs()["scores"]},
    ],
)
def test_other_names_come_first(candidate):
    with pytest.raises(NameMismatch, match="the contract says \\['logits', 'scores'\\]"):
        compare(CONTRACT, outputs(), candidate, TIGHT)


@pytest.mark.parametrize(
    ("logits", "told"),
    [
        (np.zeros((3, 2), np.float32), r"logits is float32\(3, 2\); the reference is float32\(4"),
        (np.zeros((4, 3), np.float32), r"float32\(4, 3\)"),
        (np.zeros(8, np.float32), r"float32\(8,\)"),
        (np.zeros((4, 2), np.int64), r"logits is int64\(4, 2\)"),
    ],
)
def test_other_shapes_and_kinds_come_second(logits, told):
    with pytest.raises(ShapeMismatch, match=told):
        compare(CONTRACT, outputs(), outputs(logits=logits), TIGHT)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("side", ["reference", "candidate"])
def test_no_answer_that_is_no_number_passes_not_even_twice(value, side):
    logits = outputs()["logits"]
    logits[2, 1] = value
    broken = outputs(logits=logits)
    both = {"reference": outputs(), "candidate": outputs(), side: broken}
    with pytest.raises(NotFinite, match="logits holds NaN or infinity"):
        compare(CONTRACT, both["reference"], both["candidate"], Tolerance(atol=1e9))
    with pytest.raises(NotFinite):
        compare(CONTRACT, broken, broken, Tolerance(atol=None))


@given(
    reference=FLOATS,
    candidate=FLOATS,
    atol=st.floats(0, 10),
    rtol=st.floats(0, 1),
)
def test_values_are_held_as_numpys_isclose_does(reference, candidate, atol, rtol):
    tolerance = Tolerance(atol, rtol, min_label_agreement=0, max_accuracy_drop=1)
    parity = compare(CONTRACT, outputs(logits=reference), outputs(logits=candidate), tolerance)
    wanted, found = reference.astype(float), candidate.astype(float)
    assert parity.passed == np.isclose(found, wanted, rtol=rtol, atol=atol).all()
    assert parity.max_abs == np.abs(found - wanted).max()


def test_the_bound_is_relative_to_the_reference_and_not_to_the_candidate():
    small, large = np.full((4, 2), 10, np.float32), np.full((4, 2), 11, np.float32)
    tolerance = Tolerance(atol=0.0, rtol=0.095)
    assert compare(CONTRACT, outputs(logits=large), outputs(logits=small), tolerance).passed
    assert not compare(CONTRACT, outputs(logits=small), outputs(logits=large), tolerance).passed


def test_the_output_that_exceeds_its_bound_most_is_named():
    logits, scores = outputs()["logits"] + 0.5, outputs()["scores"] + np.float32(0.01)
    parity = compare(CONTRACT, outputs(), outputs(logits=logits, scores=scores), TIGHT)
    assert (parity.worst_output, parity.passed) == ("logits", False)
    assert parity.max_abs == pytest.approx(0.5)


def test_a_flipped_label_fails_also_within_the_bound():
    near = np.array([[0.5, 0.5001], [0.9, 0.1], [0.4, 0.6], [0.7, 0.3]], np.float32)
    flipped = near.copy()
    flipped[0] = flipped[0, ::-1]
    wide = Tolerance(atol=0.01)
    parity = compare(CONTRACT, outputs(scores=near), outputs(scores=flipped), wide)
    assert (parity.passed, parity.label_agreement) == (False, 0.75)
    lenient = Tolerance(atol=0.01, min_label_agreement=0.75)
    assert compare(CONTRACT, outputs(scores=near), outputs(scores=flipped), lenient).passed


@pytest.mark.parametrize(("bound", "passes"), [(0.25, True), (0.24, False)])
def test_the_loss_of_accuracy_has_a_bound_of_its_own(bound, passes):
    worse = outputs()["scores"]
    worse[0] = worse[0, ::-1]
    tolerance = Tolerance(atol=None, min_label_agreement=0, max_accuracy_drop=bound)
    labels = np.array([1, 0, 1, 0])
    parity = compare(CONTRACT, outputs(), outputs(scores=worse), tolerance, labels)
    assert (parity.reference_accuracy, parity.accuracy, parity.passed) == (1.0, 0.75, passes)


def test_more_accuracy_than_the_reference_is_no_loss():
    labels = np.array([0, 0, 1, 0])
    better = outputs()["scores"]
    better[0] = better[0, ::-1]
    tolerance = Tolerance(atol=None, min_label_agreement=0.75)
    parity = compare(CONTRACT, outputs(), outputs(scores=better), tolerance, labels)
    assert (parity.reference_accuracy, parity.accuracy, parity.passed) == (0.75, 1.0, True)


def test_without_atol_values_are_told_and_not_judged():
    far = outputs(logits=outputs()["logits"] + 100)
    parity = compare(CONTRACT, outputs(), far, Tolerance(atol=None))
    assert parity.passed
    assert parity.max_abs == pytest.approx(100)
    permuted = outputs(scores=outputs()["scores"][:, ::-1])
    assert not compare(CONTRACT, outputs(), permuted, Tolerance(atol=None)).passed


def test_a_parity_crosses_processes_as_json():
    parity = compare(CONTRACT, outputs(), outputs(), TIGHT, np.array([1, 0, 1, 0]))
    stored = json.loads(json.dumps(parity.to_json()))
    assert stored["tolerance"] == {
        "atol": 1e-6,
        "rtol": 0.0,
        "min_label_agreement": 1.0,
        "max_accuracy_drop": 0.0,
    }
    assert stored["accuracy"] == 1.0
