"""Digits to draw, a browser, and a playground with both servers."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pipelines.settings import PROJECT, Settings
from pipelines.workspace import Workspace

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
START_SECONDS = 240
"""A deadline, never a measurement."""


@pytest.fixture(scope="session")
def strokes() -> ModuleType:
    """The module beside this file: pytest's importlib mode puts no test folder on the path."""
    path = Path(__file__).with_name("strokes.py")
    spec = importlib.util.spec_from_file_location("playground_tests_strokes", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium of this machine, driven by Playwright."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="no `playwright`")
    program = next((path for name in NAMES if (path := shutil.which(name))), None)
    if program is None:
        pytest.skip(f"no Chromium on the PATH (looked for {', '.join(NAMES)})")
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield opened
        opened.close()


@dataclass(frozen=True)
class Running:
    """A playground that runs; it has started both servers itself, with version 1 of two."""

    url: str
    space: Workspace
    process: subprocess.Popen[bytes]
    output: Path


@pytest.fixture(scope="module")
def playground(trained: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    from pipelines.alone import export_alone, train_alone

    artifacts = tmp_path_factory.mktemp("playground") / "artifacts"
    shutil.copytree(trained.space.settings.artifacts, artifacts)
    # Unix sockets live below the state, and their paths end at 107 bytes.
    with tempfile.TemporaryDirectory(prefix="tw-", ignore_cleanup_errors=True) as state:
        settings = Settings(artifacts=artifacts, state=Path(state).resolve())
        second = Workspace.open("digits", settings, {"epochs": 1})
        train_alone(second)
        assert export_alone(second).version == 2
        with started(settings, artifacts.parent / "output.txt") as running:
            yield running


class started:  # noqa: N801 - used as a function
    """``python -m pipelines playground`` until the block ends."""

    def __init__(self, settings: Settings, output: Path) -> None:
        self._settings = settings
        self._output = output

    def __enter__(self) -> Running:
        paths = {
            "TWINSERVE_ARTIFACTS": str(self._settings.artifacts),
            "TWINSERVE_STATE": str(self._settings.state),
        }
        options = ["--port", "0", "--version", "1", "--no-browser"]
        with self._output.open("wb") as stream:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "pipelines", "playground", *options],
                cwd=PROJECT,
                env={**os.environ, **paths},
                stdout=stream,
                stderr=subprocess.STDOUT,
            )
        url = self._wait_for_url()
        space = Workspace.open("digits", self._settings)
        return Running(url, space, self._process, self._output)

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(60)

    def _wait_for_url(self) -> str:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            said = self._output.read_text()
            if found := re.search(r"http://127\.0\.0\.1:\d+/", said):
                return found[0]
            assert self._process.poll() is None, said
            time.sleep(0.1)
        self.__exit__()
        raise AssertionError(self._output.read_text())
