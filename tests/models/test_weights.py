"""Initial weights that depend on names alone, their bounds, and the file they cross in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.errors import ArtifactCorrupt, ContractMismatch
from models.weights import check_same_shapes, draw_initial, read_weights_file, write_weights

SHAPES = {
    "convolution/kernel": (3, 3, 16, 32),
    "dense/kernel": (200, 50),
    "dense/bias": (50,),
    "normalisation/gamma": (32,),
    "normalisation/beta": (32,),
    "normalisation/moving_mean": (32,),
    "normalisation/moving_variance": (32,),
    "airport/embeddings": (100, 8),
}


def test_the_order_of_layers_changes_nothing():
    forwards, backwards = draw_initial(SHAPES, 7), draw_initial(dict(reversed(SHAPES.items())), 7)
    assert forwards.keys() == backwards.keys() == SHAPES.keys()
    assert all((forwards[name] == backwards[name]).all() for name in SHAPES)


def test_one_more_layer_changes_no_other():
    more = draw_initial({**SHAPES, "extra/kernel": (4, 4)}, 7)
    assert all((more[name] == rows).all() for name, rows in draw_initial(SHAPES, 7).items())


def test_another_seed_and_another_name_give_other_kernels():
    drawn = draw_initial({"a/kernel": (9, 9), "b/kernel": (9, 9)}, 7)
    assert (drawn["a/kernel"] != drawn["b/kernel"]).any()
    assert (drawn["a/kernel"] != draw_initial({"a/kernel": (9, 9)}, 8)["a/kernel"]).any()


@pytest.mark.parametrize(
    ("name", "limit"),
    [
        ("convolution/kernel", np.sqrt(6 / (3 * 3 * 16 + 3 * 3 * 32))),
        ("dense/kernel", np.sqrt(6 / (200 + 50))),
        ("airport/embeddings", 0.05),
    ],
)
def test_kernels_are_uniform_up_to_glorots_limit(name, limit):
    drawn = draw_initial(SHAPES, 7)[name]
    assert drawn.dtype == np.float32
    assert drawn.shape == SHAPES[name]
    assert 0.95 * limit < np.abs(drawn).max() <= limit * (1 + 1e-6)
    assert drawn.std() == pytest.approx(limit / np.sqrt(3), rel=0.05)
    assert abs(drawn.mean()) < 0.1 * limit


@pytest.mark.parametrize(
    ("role", "value"),
    [("bias", 0), ("beta", 0), ("moving_mean", 0), ("gamma", 1), ("moving_variance", 1)],
)
def test_the_other_roles_start_at_zero_or_one(role, value):
    name = "dense/bias" if role == "bias" else f"normalisation/{role}"
    drawn = draw_initial(SHAPES, 7)[name]
    assert drawn.dtype == np.float32
    assert (drawn == value).all()


def test_a_file_gives_back_the_same_bytes(tmp_path: Path):
    weights = draw_initial(SHAPES, 7) | {
        "view/kernel": np.arange(6, dtype=np.float32).reshape(2, 3).T
    }
    write_weights(weights, tmp_path / "w.safetensors")
    read = read_weights_file(tmp_path / "w.safetensors")
    assert read.keys() == weights.keys()
    assert all(
        read[name].tobytes() == np.ascontiguousarray(weights[name]).tobytes() for name in read
    )
    assert read["view/kernel"].shape == (3, 2)


@pytest.mark.parametrize("content", [None, b"", b"no safetensors at all"])
def test_a_file_that_is_none_is_refused(tmp_path: Path, content):
    path = tmp_path / "w.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ArtifactCorrupt, match="cannot be read as safetensors"):
        read_weights_file(path)


def test_a_cut_off_file_is_refused(tmp_path: Path):
    path = tmp_path / "w.safetensors"
    write_weights(draw_initial(SHAPES, 7), path)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ArtifactCorrupt):
        read_weights_file(path)


def test_the_same_shapes_are_accepted():
    check_same_shapes(SHAPES, dict(reversed(SHAPES.items())), "one", "the other")


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (
            {"dense/kernel": (50, 200)},
            "The weight dense/kernel is (200, 50) in the Keras network and (50, 200) in the file.",
        ),
        ({}, "The weight dense/kernel is (200, 50) in the Keras network and missing in the file."),
        (
            {"dense/kernel": (200, 50), "dense/bias": (50,)},
            "The weight dense/bias is missing in the Keras network and (50,) in the file.",
        ),
    ],
)
def test_the_first_weight_that_differs_is_named(found, told):
    with pytest.raises(ContractMismatch) as raised:
        check_same_shapes({"dense/kernel": (200, 50)}, found, "the Keras network", "the file")
    assert raised.value.message == told
    assert "same names and sizes" in raised.value.hint
