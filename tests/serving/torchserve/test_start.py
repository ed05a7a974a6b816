"""The image's entry point: which archive, which settings, which arguments go where."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.errors import ArtifactMissing, SettingsError
from serving.torchserve.start import prepare, usable_cores

NAMED = {"MODEL_NAME": "images"}


@pytest.fixture
def store(tmp_path: Path) -> Path:
    for number in (2, 10):
        (tmp_path / f"images-{number}.mar").write_bytes(b"")
    return tmp_path


def properties(workdir: Path) -> dict[str, str]:
    lines = (workdir / "config.properties").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines)


def test_the_newest_archive_on_every_interface_at_the_known_ports(store: Path, tmp_path: Path):
    command, variables = prepare([], NAMED, store, tmp_path / "run")
    settings = properties(tmp_path / "run")
    assert settings["load_models"] == "images=images-10.mar"
    assert settings["inference_address"] == "http://0.0.0.0:8080"
    assert settings["management_address"] == "http://0.0.0.0:8081"
    assert settings["metrics_address"] == "http://0.0.0.0:8082"
    assert (settings["grpc_inference_port"], settings["grpc_management_port"]) == ("7070", "7071")
    assert settings["enable_model_api"] == "false"
    assert settings["default_workers_per_model"] == "1"
    assert "disable_token_authorization" not in settings
    assert command[-1] == "--no-config-snapshot"
    assert variables["LOG_LOCATION"] == str(tmp_path / "run" / "logs")


def test_options_are_taken_and_the_rest_is_passed_on(store: Path, tmp_path: Path):
    given = ["--workers=3", "--model-api", "--log-config", "x"]
    command, _ = prepare(given, NAMED, store, tmp_path / "run")
    settings = properties(tmp_path / "run")
    assert settings["default_workers_per_model"] == "3"
    assert settings["enable_model_api"] == "true"
    assert command[-2:] == ("--log-config", "x")


def test_what_is_missing_is_named(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SettingsError, match="MODEL_NAME is not set"):
        prepare([], {}, store, tmp_path / "run")
    with pytest.raises(ArtifactMissing, match="'letters'"):
        prepare([], {"MODEL_NAME": "letters"}, store, tmp_path / "run")
    with pytest.raises(SystemExit):
        prepare(["--workers=0"], NAMED, store, tmp_path / "run")
    assert "'0' is no number of processes" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({"cpu.max": "50000 100000\n"}, 0.5),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "50000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 0.5),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({}, None),
    ],
)
def test_a_containers_limit_counts(tmp_path: Path, files: dict[str, str], cores: float | None):
    import os

    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert usable_cores(tmp_path) == (cores or len(os.sched_getaffinity(0)))
