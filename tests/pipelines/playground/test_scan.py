"""A drawing becomes what the data's scans are, and the sliders change it as they say."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from models.case import case_function, load_case
from models.contract import TensorSpec
from models.dataset import Dataset
from pipelines.playground.scan import Adjustment, Frame, frame_of, is_drawable

SPEC = load_case("digits").contract.inputs[0]


@pytest.fixture(scope="module")
def data() -> Dataset:
    found: Dataset = case_function("digits", "data", "load")(7)
    return found


@pytest.fixture(scope="module")
def frame(data: Dataset) -> Frame:
    return Frame.of(SPEC, data.test)


def test_the_data_fill_their_frames_as_the_collection_says(frame: Frame) -> None:
    assert frame.height == 1.0, "every scan has the bitmap's full height"
    assert 0.6 < frame.width < 1.0
    assert 0.25 < frame.ink < 0.35


def test_drawn_digits_lie_nearest_to_scans_of_the_same_digit(
    data: Dataset, frame: Frame, strokes: ModuleType
) -> None:
    nearest = KNeighborsClassifier(3).fit(_flat(data.train.inputs["image"]), data.train.labels)
    scans = np.concatenate([frame.scan(drawn) for drawn in strokes.DIGITS.values()])
    right = nearest.predict(_flat(scans)) == np.arange(10)
    assert right.sum() >= 9
    sideways = nearest.predict(_flat(scans.transpose(0, 2, 1, 3))) == np.arange(10)
    assert sideways.sum() < right.sum() / 2, "a scan on its side is no digit"


def test_a_scan_counts_pixels_in_blocks_and_has_the_datas_ink(
    frame: Frame, strokes: ModuleType
) -> None:
    for drawn in strokes.DIGITS.values():
        image = frame.scan(drawn)
        assert image.shape == (1, 8, 8, 1)
        assert image.dtype == np.float32
        assert np.array_equal(image, np.round(image)), "whole numbers, 0 to 16"
        assert image.min() == 0
        assert 14 < image.max() <= 16
        assert abs(image.mean() / 16 - frame.ink) < 0.04
        assert image[0, 0].any(), "the top row is written on"
        assert image[0, -1].any()


def test_size_and_place_of_a_drawing_do_not_matter(frame: Frame, strokes: ModuleType) -> None:
    small = [[(0.1 + x / 5, 0.7 + y / 5) for x, y in line] for line in strokes.DIGITS[4]]
    assert np.abs(frame.scan(small) - frame.scan(strokes.DIGITS[4])).mean() < 0.3


def test_a_dash_stays_a_dash_and_a_dot_a_dot(frame: Frame) -> None:
    dash = frame.scan([[(0.2, 0.5), (0.8, 0.5)]])[0, :, :, 0]
    assert dash[3:5].sum() > 0.8 * dash.sum()
    dot = frame.scan([[(0.3, 0.3)]])[0, :, :, 0]
    assert dot[3:5, 3:5].sum() >= 0.8 * dot.sum()


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        (Adjustment(right=1), lambda image: np.pad(image, ((0, 0), (1, 0), (0, 0)))[:, :-1]),
        (Adjustment(down=2), lambda image: np.pad(image, ((2, 0), (0, 0), (0, 0)))[:-2]),
        (Adjustment(rotate=90), lambda image: np.rot90(image, -1)),
        (Adjustment(), lambda image: image),
    ],
)
def test_sliders_move_what_is_drawn(frame: Frame, strokes: ModuleType, change, wanted) -> None:
    image = frame.scan(strokes.DIGITS[5])[0]
    assert np.allclose(change.apply(image, SPEC), wanted(image), atol=1e-3)


def test_blur_spreads_and_noise_is_seeded_within_the_range(
    frame: Frame, strokes: ModuleType
) -> None:
    image = frame.scan(strokes.DIGITS[5])[0]
    assert Adjustment(blur=1).apply(image, SPEC).std() < image.std()
    noisy = Adjustment(noise=0.3, seed=1)
    found = noisy.apply(image, SPEC)
    assert np.array_equal(found, noisy.apply(image, SPEC))
    assert not np.array_equal(found, replace(noisy, seed=2).apply(image, SPEC))
    assert found.min() >= 0
    assert found.max() <= 16


@pytest.mark.parametrize(
    ("shape", "bounded", "drawable"),
    [
        ((28, 28), True, True),
        ((28, 28, 1), True, True),
        ((28, 28, 3), True, False),
        ((13,), True, False),
        ((224, 224, 1), True, False),
        ((8, 8, 1), False, False),
    ],
)
def test_small_images_of_one_channel_are_drawn(shape, bounded: bool, drawable: bool) -> None:
    high = 255.0 if bounded else None
    assert is_drawable(TensorSpec("x", "float32", shape, low=0, high=high)) is drawable


def test_a_case_of_fields_has_no_frame(data: Dataset) -> None:
    contract = load_case("flights").contract
    assert frame_of(contract, data.test) is None


def _flat(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1)
