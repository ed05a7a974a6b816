"""What every verb of TFX is handed beside its own request."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipelines.settings import read_settings
from pipelines.tfx import calling
from pipelines.tfx.inside.running import beam_arguments
from pipelines.workspace import Workspace


def test_the_beam_runner_of_the_environment_and_its_options_reach_beam(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TWINSERVE_ARTIFACTS", str(tmp_path))
    monkeypatch.setenv("TWINSERVE_BEAM_RUNNER", "FlinkRunner")
    monkeypatch.setenv("TWINSERVE_BEAM_OPTIONS", "--flink_master=host:8081 '--job_name=a b'")
    asked: dict[str, Any] = {}

    def call(verb: str, request: dict[str, Any], **_: object) -> dict[str, Any]:
        asked[verb] = request
        return {}

    monkeypatch.setattr(calling, "call", call)
    space = Workspace.open("flights", read_settings())
    calling.call_tfx(space, "prepare", {"splits": {}})
    request = asked["prepare"]
    assert request["state"] == str(tmp_path / "flights/tfx")
    assert beam_arguments(request) == [
        "--runner=FlinkRunner", "--flink_master=host:8081", "--job_name=a b",
    ]  # fmt: skip
