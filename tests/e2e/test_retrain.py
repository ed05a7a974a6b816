"""Months that arrive one after the other: watched, learned from, pushed or refused; and a replay that goes on."""

from __future__ import annotations

import os
import shutil
import signal
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


def first_month(place: Any) -> dict[str, tuple[int, int]]:
    """What the first month has left for good."""
    home = "flights/retrain/flights"
    return place.made(f"{home}/spans", f"{home}/1/[mpt]*", f"{home}/training/*", f"{home}/pushed/1")


@pytest.mark.timeout(900)
def test_a_month_arrives(place: Any) -> None:
    done = place.run("retrain", "--at-most", "1").succeeded()
    done.said("Month 4 has arrived", "Retraining on 1 to 3", "version 1 pushed", "Timeline: ")
    (first,) = timeline(place).spans
    assert (first.span, first.trained_on, first.compared_with) == (4, [1, 2, 3], None)
    assert first.pushed, first.refused
    assert not (place.artifacts / "flights/pushed").exists(), "a home of its own"
    place.wait_for_quiet()


@pytest.mark.timeout(900)
def test_ctrl_c_in_the_middle_keeps_the_months_that_are_complete(place: Any) -> None:
    kept, before = first_month(place), timeline(place)
    run = place.start("retrain", "--at-most", "1")
    run.wait_until(lambda: "Month 5 has arrived" in run.text and "epoch" in run.text, "an epoch")
    done = run.stop(signal.SIGINT)
    assert done.code == 128 + signal.SIGINT, done.text
    assert "Traceback" not in done.text, done.text
    assert done.text.count("The next run goes on from what is complete.") == 1
    done.said("Month 4: complete and unchanged")
    place.wait_for_quiet()
    assert place.half_written() == []
    assert timeline(place).spans == before.spans
    pushed = in_service(place.artifacts / "flights/retrain/flights/pushed")
    assert pushed is not None
    assert pushed.version == 1
    assert first_month(place) == kept


@pytest.mark.timeout(900)
def test_the_same_command_goes_on_with_the_month_that_was_stopped(place: Any) -> None:
    kept, (first,) = first_month(place), timeline(place).spans
    done = place.run("retrain", "--at-most", "1").succeeded()
    done.said("Month 4: complete and unchanged", "Month 5 has arrived", "Timeline: ")
    assert "Month 4 has arrived" not in done.text
    again, second = timeline(place).spans
    assert again == first
    assert kept.items() <= first_month(place).items()
    pushed = in_service(place.artifacts / "flights/retrain/flights/pushed")
    assert pushed is not None
    assert pushed.version == second.in_service
    lines = {(each.line, each.version) for each in second.performance}
    assert {("frozen", 1), ("in service", 1)} <= lines
    # May is warmer than anything that was learned from.
    assert any(each.feature == "temp" and each.exceeded for each in second.drift)
    assert second.label_drift
    assert "late" not in {each.feature for each in second.drift}
    assert (second.trained_on, second.compared_with) == ([1, 2, 3, 4], 1)
    assert second.pushed != bool(second.refused)
    place.wait_for_quiet()


def test_a_full_disk_ends_a_replay_with_one_message(
    place: Any, lasting_place: Callable[..., Any], mount: Callable[..., None]
) -> None:
    full = lasting_place()
    full.environment.update(place.environment)
    mount(full.artifacts, "size=1g")
    shutil.copytree(place.artifacts, full.artifacts, symlinks=True, dirs_exist_ok=True)
    used = os.statvfs(full.artifacts)
    kilobytes = (used.f_blocks - used.f_bfree) * used.f_frsize // 1024
    mount(full.artifacts, f"size={kilobytes + 100}k")
    before, versions = timeline(full).spans, full.made("flights/retrain/flights/pushed")
    done = full.run("retrain", "--at-most", "1")
    done.failed_with("StorageError", "No space left", "Free some space")
    assert full.half_written() == []
    assert timeline(full).spans == before
    assert full.made("flights/retrain/flights/pushed") == versions
    full.wait_for_quiet()


def test_a_case_without_spans_has_nothing_that_could_arrive(place: Any) -> None:
    before = timeline(place)
    place.run("retrain", "--case", "digits").failed_with("CaseError", "has no spans")
    assert timeline(place) == before


def test_without_tfx_nothing_would_be_blessed(place: Any) -> None:
    done = place.run("retrain", TWINSERVE_TFX="0")
    done.failed_with("SettingsError", "TFX", "it is off")
