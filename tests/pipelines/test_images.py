"""``make images`` where it cannot work: one message that says what to do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


def images(tmp_path: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pipelines", "images", *arguments],
        env={**os.environ, "TWINSERVE_STATE": str(tmp_path), **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_no_engine(tmp_path: Path):
    ran = images(tmp_path, DOCKER_HOST="tcp://127.0.0.1:9")
    assert ran.returncode == 1
    assert "EngineUnavailable: No Docker engine answers" in ran.stderr
    assert "Start it" in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize(
    ("contents", "words"),
    [(None, "There is no"), ("no certificate", "can be handed to a build")],
)
def test_certificates_that_cannot_be_used(tmp_path: Path, contents: str | None, words: str):
    """Said before the engine is asked for anything."""
    file = tmp_path / "own.pem"
    if contents is not None:
        file.write_text(contents)
    ran = images(tmp_path, f"--ca-certificates={file}", DOCKER_HOST="tcp://127.0.0.1:9")
    assert ran.returncode == 1
    assert "SettingsError" in ran.stderr
    assert words in ran.stderr
