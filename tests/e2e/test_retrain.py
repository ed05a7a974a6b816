"""Months that arrive one after the other: watched, learned from, pushed or refused; and a replay that goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pipelines.retrain.facts import Timeline
from pipelines.tfx.environment import is_ready
from serving.pushed import in_service

pytestmark = [pytest.mark.e2e, pytest.mark.servers, pytest.mark.slow, pytest.mark.tfx]

SAMPLE = "50000"
"""Fewer rows a month say too little of a slice to bless a model by it."""


@pytest.fixture(scope="module")
def place(lasting_place: Callable[..., Any]) -> Any:
    if not is_ready():
        pytest.skip("TFX is not installed: make setup-tfx")
    made = lasting_place()
    made.environment["TWINSERVE_SAMPLE"] = SAMPLE
    return made


def timeline(place: Any) -> Timeline:
    path = place.artifacts / "flights/retrain/timeline.json"
    return Timeline.model_validate_json(path.read_text())


@pytest.mark.timeout(900)
def test_two_months_arrive(place: Any) -> None:
    done = place.run("retrain", "--at-most", "2").succeeded()
    done.said("Month 4 has arrived", "Month 5 has arrived", "Retraining on 1 to 3", "Timeline: ")
    first, second = timeline(place).spans
    assert (first.span, first.trained_on, first.compared_with) == (4, [1, 2, 3], None)
    assert first.pushed, first.refused
    pushed = in_service(place.artifacts / "flights/retrain/flights/pushed")
    assert pushed is not None
    assert pushed.version == second.in_service
    lines = {(each.line, each.version) for each in second.performance}
    assert {("frozen", 1), ("in service", 1)} <= lines
    # May is warmer than anything that was learned from.
    assert any(each.feature == "temp" and each.exceeded for each in second.drift)
    assert (second.trained_on, second.compared_with) == ([1, 2, 3, 4], 1)
    assert second.pushed != bool(second.refused)
    assert not (place.artifacts / "flights/pushed").exists(), "a home of its own"
    place.wait_for_quiet()


def test_a_case_without_spans_has_nothing_that_could_arrive(place: Any) -> None:
    before = timeline(place)
    place.run("retrain", "--case", "digits").failed_with("CaseError", "has no spans")
    assert timeline(place) == before


def test_without_tfx_nothing_would_be_blessed(place: Any) -> None:
    done = place.run("retrain", TWINSERVE_TFX="0")
    done.failed_with("SettingsError", "TFX", "it is off")
