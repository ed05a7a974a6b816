"""A small report, of which tests change what they are about."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from models.framework import FrameworkName
from pipelines.facts import (
    Environment,
    RunReport,
    StageTiming,
    Timings,
    TrainingFacts,
)

MakeReport = Callable[..., RunReport]


def _training(framework: FrameworkName, cached: bool) -> TrainingFacts:
    return TrainingFacts(
        framework=framework,
        label=framework,
        epochs=[],
        parameters=1,
        rows_per_second=1.0,
        test_accuracy=1.0,
        confusion=[],
        input_digest="0",
        cached=cached,
    )


@pytest.fixture
def make_report() -> MakeReport:
    """``make_report(stages, wall, path, cached)``: a report with those timings and trainings."""

    def make(
        stages: list[StageTiming], wall: float = 12.0, path: float = 10.0, cached: bool = True
    ) -> RunReport:
        return RunReport(
            case="digits",
            title="Digits",
            version=1,
            created=datetime(2026, 1, 1, tzinfo=UTC),
            passed=True,
            measured=None,
            inputs=[],
            outputs=[],
            labels=[],
            checks=[],
            parity=[],
            training=[_training("tensorflow", cached), _training("pytorch", cached)],
            artifacts=[],
            servers=[],
            malformed=[],
            timings=Timings(stages=stages, wall_seconds=wall, critical_path_seconds=path),
            environment=Environment(
                hardware={},
                versions={},
                seeds={},
                git_commit="",
                data_digest="",
                hyperparameters={},
            ),
        )

    return make
