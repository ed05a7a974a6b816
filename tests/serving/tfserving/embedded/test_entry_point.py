"""The program as it is installed: ``pip install .``, away from this folder."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from serving.process import ProcessServer
from serving.server import ServerSpec
from serving.tfserving.repository import publish

pytestmark = pytest.mark.servers

ROOT = Path(__file__).resolve().parents[4]
PROGRAM = "twinserve-tfserving-embedded"
NEEDED = (
    "models",
    "serving",
    "pipelines",
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "requirements",
)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the packages and ``bin``; what they depend on is this environment's."""
    source = tmp_path_factory.mktemp("source")
    for name in NEEDED:
        place = ROOT / name
        if place.is_dir():
            shutil.copytree(place, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(place, source / name)
    target = tmp_path_factory.mktemp("installed")
    options = ("--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check")
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", *options, f"--target={target}", str(source)],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return target


def test_it_says_what_it_is(installed: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [installed / "bin" / PROGRAM, "--version"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "TF Serving API (embedded)")


def test_it_serves(
    installed: Path, saved_model: Path, tmp_path: Path, embedded_spec: Callable[..., ServerSpec]
) -> None:
    publish(saved_model, tmp_path / "repository", 1)
    spec = embedded_spec("digits", tmp_path / "repository", tmp_path / "work")
    flags = [each for each in spec.command if each.startswith("--")]
    command = (str(installed / "bin" / PROGRAM), *flags)
    environment = {**spec.environment, "PYTHONPATH": str(installed)}
    server = ProcessServer(replace(spec, command=command, environment=environment))
    server.start()
    try:
        server.wait_ready(60)
        metadata = f"{spec.url('rest')}/v1/models/digits/metadata"
        assert httpx.get(metadata, trust_env=False).json()["model_spec"]["version"] == "1"
    finally:
        server.stop()
