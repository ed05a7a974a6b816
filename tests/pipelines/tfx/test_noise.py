"""What two models differ by on the same rows by chance: held against drawing the rows anew."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.tfx.inside.bootstrap import metrics_of
from pipelines.tfx.inside.noise import FEWEST_OF_A_LABEL, paired_errors, slack_of
from pipelines.tfx.inside.predictions import Predictions

ROWS, DRAWS = 800, 400


def answers(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    logits = random.normal(-1, 1.2, ROWS)
    label = (random.random(ROWS) < 1 / (1 + np.exp(-logits))).astype(float)
    # To two decimals, so that there are equal scores.
    one, other = (
        np.round(1 / (1 + np.exp(-logits - random.normal(0, scale, ROWS))), 2)
        for scale in (0.3, 0.9)
    )
    return label, one, other


@pytest.mark.parametrize("seed", [1, 2])
def test_errors_are_those_of_rows_drawn_anew(seed: int) -> None:
    label, one, other = answers(seed)
    random = np.random.default_rng(seed)
    drawn = []
    for _ in range(DRAWS):
        weights = random.poisson(1.0, ROWS).astype(float)
        both = []
        for scores in (one, other):
            order = np.argsort(scores, kind="stable")
            both.append(metrics_of(label[order], scores[order], weights[order]))
        drawn.append([both[0][name] - both[1][name] for name in ("roc_auc", "log_loss")])
    wanted = np.std(drawn, axis=0)
    found = paired_errors(label, one, other)
    assert [found["roc_auc"], found["log_loss"]] == pytest.approx(wanted, rel=0.2)


def test_the_same_answers_differ_by_nothing() -> None:
    label, one, _ = answers(1)
    assert paired_errors(label, one, one) == {"roc_auc": 0, "log_loss": 0}


def test_a_slice_with_hardly_any_of_a_label_is_not_compared() -> None:
    label, one, other = answers(1)
    few = np.zeros(ROWS, bool)
    few[np.flatnonzero(label == 0)[:100]] = True
    few[np.flatnonzero(label == 1)[: FEWEST_OF_A_LABEL - 1]] = True
    table = Predictions(label, {"pytorch": one, "pytorch_in_service": other}, {})
    masks = {("hour", "5"): few, ("hour", "6"): ~few}
    assert set(slack_of(table, masks, "pytorch")) == {("hour", "6")}
    assert slack_of(table, masks, "tensorflow") == {}
