"""TFX's own InfraValidator where it cannot run; and that its "no" keeps a version out of service."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipelines.facts import (
    Check,
    EvaluationFacts,
    Findings,
    InfraFacts,
    Outcome,
    ValidationFacts,
)
from pipelines.push import gather_blessings
from pipelines.settings import Settings
from pipelines.tfx.infra_validator import own_infra_validator
from pipelines.workspace import Workspace


@pytest.mark.parametrize(
    ("launcher", "told"),
    [("process", "as LAUNCHER=process says"), ("auto", "no Docker engine answers")],
)
def test_where_it_cannot_run_it_says_why(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, launcher: Any, told: str
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nobody.sock")
    settings = Settings(artifacts=tmp_path / "a", state=tmp_path / "s", launcher=launcher)
    manifest: Any = SimpleNamespace(version=1)
    check = own_infra_validator(Workspace.open("flights", settings), manifest)
    assert check.outcome is Outcome.WARNING
    assert (
        check.figure == f"not run: {'servers run as processes, ' * (launcher == 'process')}{told}"
    )


@pytest.mark.parametrize("outcome", list(Outcome))
def test_its_no_keeps_a_version_out_of_service(outcome: Outcome) -> None:
    own = Check(
        stage="infra",
        subject="TF Serving 9",
        question="It loads",
        outcome=outcome,
        figure="not blessed",
    )
    infra = InfraFacts(blessings={"tfserving": 1, "torchserve": 2}, findings=Findings(checks=[own]))
    validated = ValidationFacts(
        constants="", digest="", spans="", numbers=[1], trained_on=[1], statistics="",
        findings=Findings(),
    )  # fmt: skip
    evaluated = EvaluationFacts(
        blessings={"tensorflow": 3, "pytorch": 4}, compared_with=None, findings=Findings()
    )
    gathered = gather_blessings(validated, evaluated, infra, [])
    assert gathered.failed == (
        ["TF Serving 9: It loads: not blessed"] if outcome is Outcome.FAIL else []
    )
