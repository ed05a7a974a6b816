"""How far a measurement is, in words; and a load generator that fails is an error with its own words."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from models.errors import ServerNotReady
from pipelines.measuring.running import FEWEST_STEPS, Progress, duration, run_load
from serving.load.job import QUICK, LoadJob, LoadTarget
from serving.load.schedule import steps
from tests.pipelines.measuring.windows import endpoint, said


def job(folder: Path, case: str = "digits") -> LoadJob:
    return LoadJob(case, (), (LoadTarget(endpoint(), folder / "rows.npz"),), QUICK, folder)


def test_progress_says_what_runs_and_what_is_left(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "twinserve")
    now = iter(range(0, 10_000, 10))
    total = steps(QUICK, 1)
    progress = Progress(job(tmp_path), clock=lambda: float(next(now)))
    for _ in range(FEWEST_STEPS):
        progress.tell(said())
    first, *rest = caplog.messages
    assert "quick, not for quoting" in first
    assert rest == [
        f"Measure: {FEWEST_STEPS} of {total}, SingleStream, window 1 of TF Serving · REST; "
        f"about {duration(10 * (total - FEWEST_STEPS))} left"
    ]


def test_an_endpoint_that_answers_wrongly_is_told_at_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    step: dict[str, Any] = {"kind": "accuracy", "endpoint": 0, "wrong": 1, "problem": "row 3"}
    Progress(job(tmp_path)).tell(step)
    assert "TF Serving · REST answers wrongly, so it is not measured: row 3" in caplog.text


def test_a_generator_that_fails_is_an_error_with_its_words(tmp_path: Path) -> None:
    with pytest.raises(ServerNotReady, match="load generator failed") as caught:
        run_load(job(tmp_path, case="no-such-case"), tmp_path)
    assert "no-such-case" in caught.value.hint
