"""Settings come from the environment alone, and a bad one is told by its variable."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from models.errors import SettingsError
from pipelines.settings import PROJECT, Settings, read_settings


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [each for each in os.environ if each.startswith("TWINSERVE_")]:
        monkeypatch.delenv(name)


def test_without_a_variable_everything_lies_in_the_clone():
    settings = read_settings()
    assert settings.artifacts == PROJECT / "artifacts"
    assert settings.state == PROJECT / ".twinserve"
    assert settings.records == PROJECT / ".twinserve/servers"
    assert settings.case_folders == []
    assert settings.threads >= 1
    assert settings.tfserving_rest_port == 0


def test_every_setting_is_read_and_described(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TWINSERVE_THREADS", "3")
    monkeypatch.setenv("TWINSERVE_TORCHSERVE_GRPC_PORT", "7070")
    monkeypatch.setenv("TWINSERVE_REQUEST_TIMEOUT_SECONDS", "0.5")
    settings = read_settings()
    assert (settings.threads, settings.torchserve_grpc_port) == (3, 7070)
    assert settings.request_timeout_seconds == 0.5
    assert all(field.description for field in Settings.model_fields.values())


def test_folders_are_made_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TWINSERVE_ARTIFACTS", "here")
    monkeypatch.setenv("TWINSERVE_STATE", "there")
    settings = read_settings()
    assert settings.artifacts == tmp_path.resolve() / "here"
    assert settings.records == tmp_path.resolve() / "there/servers"
    assert list(tmp_path.iterdir()) == [], "reading settings writes nothing"


def test_more_homes_of_cases_are_separated_as_path_is(tmp_path: Path):
    homes = [tmp_path / "a", tmp_path / "b"]
    settings = Settings(cases_path=os.pathsep.join([str(homes[0]), "", str(homes[1])]))
    assert settings.case_folders == [home.resolve() for home in homes]


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("TWINSERVE_THREADS", "many"),
        ("TWINSERVE_THREADS", "0"),
        ("TWINSERVE_WORKER_TIMEOUT_SECONDS", "-1"),
        ("TWINSERVE_STARTUP_TIMEOUT_SECONDS", "soon"),
        ("TWINSERVE_REQUEST_TIMEOUT_SECONDS", "0"),
        ("TWINSERVE_TFSERVING_REST_PORT", "65536"),
        ("TWINSERVE_TORCHSERVE_REST_PORT", "-1"),
    ],
)
def test_a_bad_value_names_its_variable(monkeypatch: pytest.MonkeyPatch, variable, value):
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError, match=f"cannot be used: {variable}: ") as raised:
        read_settings()
    assert "python -m pipelines settings" in raised.value.hint


def test_all_bad_values_are_named_at_once(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TWINSERVE_THREADS", "many")
    monkeypatch.setenv("TWINSERVE_TFSERVING_GRPC_PORT", "high")
    with pytest.raises(SettingsError) as raised:
        read_settings()
    assert "TWINSERVE_THREADS: " in raised.value.message
    assert "TWINSERVE_TFSERVING_GRPC_PORT: " in raised.value.message


def test_settings_do_not_change():
    with pytest.raises(ValidationError, match="frozen"):
        Settings().threads = 5  # type: ignore[misc]
