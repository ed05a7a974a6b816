"""Processes or containers: what is asked for is what runs, and `auto` says why it chose."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.errors import EngineUnavailable, SettingsError
from pipelines.launcher import choose_launcher
from pipelines.settings import Settings, read_settings


@pytest.fixture
def no_engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nobody.sock")


@pytest.mark.usefixtures("no_engine")
def test_processes_ask_no_engine():
    found = choose_launcher(Settings(launcher="process"))
    assert not found.in_containers
    assert "LAUNCHER=process" in found.why


@pytest.mark.usefixtures("no_engine")
def test_auto_takes_processes_without_an_engine_and_says_so():
    found = choose_launcher(Settings(launcher="auto"))
    assert not found.in_containers
    assert "No Docker engine answers" in found.why


@pytest.mark.usefixtures("no_engine")
def test_docker_never_falls_back():
    with pytest.raises(EngineUnavailable, match=r"nobody\.sock"):
        choose_launcher(Settings(launcher="docker"))


@pytest.mark.parametrize("wrong", ["dockers", "", "PROCESS"])
def test_another_launcher_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, wrong: str):
    monkeypatch.setenv("TWINSERVE_LAUNCHER", wrong)
    with pytest.raises(SettingsError, match="TWINSERVE_LAUNCHER"):
        read_settings()
