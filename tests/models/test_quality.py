"""Figures of probabilities, against cases whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest

from models.errors import CaseError
from models.quality import score_probabilities


def test_a_perfect_ranking():
    scores = score_probabilities(
        np.array([0.1, 0.2, 0.8, 0.9]), np.array([False, False, True, True])
    )
    assert (scores.roc_auc, scores.pr_auc) == (1.0, 1.0)
    assert scores.log_loss == pytest.approx(-np.log([0.9, 0.8, 0.8, 0.9]).mean())
    assert (scores.rows, scores.positives) == (4, 2)


def test_one_constant_for_all_ranks_as_chance_and_is_calibrated_at_the_share():
    positive = np.arange(1000) % 4 == 0
    scores = score_probabilities(np.full(1000, 0.25), positive)
    assert scores.roc_auc == 0.5
    assert scores.pr_auc == pytest.approx(0.25)
    assert scores.calibration_error == pytest.approx(0, abs=1e-12)


def test_probabilities_that_are_too_high_show_in_the_curve_and_in_the_error():
    generator = np.random.default_rng(3)
    true = generator.uniform(0, 0.5, 20_000)
    scores = score_probabilities(true + 0.3, generator.random(20_000) < true)
    assert scores.calibration_error == pytest.approx(0.3, abs=0.02)
    assert len(scores.reliability) == 10
    assert sum(each.rows for each in scores.reliability) == 20_000
    predicted = [each.predicted for each in scores.reliability]
    assert predicted == sorted(predicted)
    assert all(each.predicted > each.observed for each in scores.reliability)


def test_rows_of_one_class_cannot_be_ranked():
    with pytest.raises(CaseError, match="one class"):
        score_probabilities(np.array([0.1, 0.2]), np.array([True, True]))
