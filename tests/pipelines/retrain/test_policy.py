"""When retraining fires, and what is said where it does not."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from pipelines.retrain.monitoring import divergence
from pipelines.retrain.policy import Policy, Signs, reasons_to_retrain, why_not

CALM = {
    "drift": {"temp": 0.9, "seats": 0.1},
    "label": {"share of late flights": 0.4},
    "predictions": {"Keras": 0.02, "PyTorch": 0.03},
    "auc_drop": {"Keras": 0.01, "PyTorch": -0.02},
    "log_loss_rise": {"Keras": 0.0, "PyTorch": 0.05},
}


def signs(**changes: dict[str, float]) -> Signs:
    return Signs(**(CALM | changes))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"drift": {"temp": 1.3, "dewp": 1.1}}, "temp has drifted, 1.30 × its threshold (limit 1)"),
        (
            {"label": {"share of late flights": 1.2}},
            "the share of late flights has moved, 1.20 × its threshold (limit 1)",
        ),
        ({"predictions": {"Keras": 0.2}}, "Keras's predictions have drifted, 0.200 (limit 0.1)"),
        ({"auc_drop": {"PyTorch": 0.04}}, "PyTorch's ROC AUC has fallen by 0.040 (limit 0.03)"),
        ({"log_loss_rise": {"Keras": 0.11}}, "Keras's log loss has risen by 0.110 (limit 0.1)"),
    ],
)
def test_each_threshold_fires_by_itself(changes: dict[str, dict[str, float]], told: str) -> None:
    assert reasons_to_retrain(Policy(), signs())[:1] == []
    assert reasons_to_retrain(Policy(), signs(**changes))[0] == told


def test_where_nothing_is_crossed_it_is_said_what_came_closest() -> None:
    told = why_not(Policy(), signs())
    assert "temp 0.90 × its threshold (limit 1)" in told
    assert "PyTorch 0.030 (limit 0.1)" in told
    assert "ROC AUC: Keras worse by 0.010 (limit 0.03)" in told
    better = why_not(Policy(), signs(auc_drop={"Keras": -0.02}))
    assert "ROC AUC: Keras better by 0.020 (limit 0.03)" in better
    assert "label: share of late flights 0.40 × its threshold (limit 1)" in told


def test_thresholds_can_be_set_and_a_threshold_of_nothing_cannot() -> None:
    assert reasons_to_retrain(Policy(feature_drift=0.5), signs())
    assert not reasons_to_retrain(Policy(feature_drift=2), signs(drift={"temp": 1.9}))
    assert not reasons_to_retrain(Policy(label_drift=2), signs(label={"share": 1.9}))
    with pytest.raises(ValidationError):
        Policy(auc_drop=0)


def test_divergence_is_nothing_for_the_same_and_one_for_nothing_in_common() -> None:
    low, high = np.full(100, 0.1), np.full(50, 0.9)
    assert divergence(low, low) == 0
    assert divergence(low, high) == pytest.approx(1)
    half = np.concatenate([np.full(50, 0.1), np.full(50, 0.9)])
    # By hand: p = (1, 0), q = (.5, .5), m = (.75, .25).
    wanted = (np.log2(4 / 3) + 0.5 * np.log2(2 / 3) + 0.5 * np.log2(2)) / 2
    assert divergence(low, half) == pytest.approx(wanted)
