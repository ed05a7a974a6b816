"""A case that is trained and exported once a session, and verified once, for all tests that need one."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from filelock import FileLock

from models.artifact import Manifest
from models.framework import FRAMEWORKS
from pipelines.facts import DataFacts, Findings, Trainings
from pipelines.settings import Settings
from pipelines.workspace import Workspace

if TYPE_CHECKING:
    from models.case import Case

os.environ.setdefault("TWINSERVE_LAUNCHER", "process")
"""The same servers with and without a Docker engine; tests/docker has the containers' tests."""

EPOCHS = 4
"""Enough to tell a trained network from any other; the case's own number is for its accuracy."""


SHARED = "TESTS_SHARED_FOLDER"
"""What costs much is made once a run, also where several processes run the tests: ``make test JOBS=2``."""


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):  # the process that starts the others
        # A short path: Unix sockets live below it, and their paths end at 107 bytes.
        os.environ[SHARED] = str(Path(tempfile.mkdtemp(prefix="tw-")).resolve())


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        shutil.rmtree(os.environ[SHARED], ignore_errors=True)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What `.ci/run` could not run must not be overlooked at the end of a green run."""
    if why := os.environ.get("CONTAINER_TESTS_SKIPPED"):
        terminalreporter.write_line("")
        terminalreporter.write_line(f"*** THE CONTAINERS' TESTS DID NOT RUN: {why}.", red=True)
        terminalreporter.write_line(
            "*** Nothing here says anything about containers. As root, or with an engine: "
            "make test-docker",
            red=True,
        )


@dataclass(frozen=True)
class Trained:
    """What training and exporting left. Not to be written into: copy what is to be changed.

    Attributes:
        space: the case in a folder of the session's.
        data: its data set.
        facts: both trainings.
        manifest: version 1.
    """

    space: Workspace
    data: DataFacts
    facts: Trainings
    manifest: Manifest

    @property
    def version(self) -> Path:
        return self.space.version_folder(self.manifest.version)

    def training(self, framework: str) -> Path:
        return self.space.home / "training" / self.manifest.training[framework]


@pytest.fixture(scope="session")
def state() -> Iterator[Path]:
    """A folder with a short path: Unix sockets live below it, and their paths end at 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="tw-", ignore_cleanup_errors=True) as folder:
        yield Path(folder).resolve()


@pytest.fixture(scope="session")
def shared_folder() -> Path:
    """A folder of this run of the tests; what is made there is made under a lock beside it."""
    return Path(os.environ[SHARED])


@pytest.fixture(scope="session")
def trained(shared_folder: Path, state: Path) -> Trained:
    from pipelines.alone import export_alone, train_alone

    settings = Settings(artifacts=shared_folder / "trained", state=state)
    space = Workspace.open("digits", settings, {"epochs": EPOCHS})
    with FileLock(shared_folder / "trained.lock"):  # the second one finds it complete
        data, facts = train_alone(space)
        return Trained(space, data, facts, export_alone(space))


@pytest.fixture(scope="session")
def verified(trained: Trained) -> dict[str, Findings]:
    """By framework: what verification says of the honest version."""
    from pipelines.verify import verify_framework

    with ThreadPoolExecutor(len(FRAMEWORKS)) as pool:
        found = pool.map(
            lambda name: verify_framework(trained.space, name, trained.manifest), FRAMEWORKS
        )
        return dict(zip(FRAMEWORKS, found, strict=True))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings whose folders are the test's own."""
    return Settings(artifacts=tmp_path / "artifacts", state=tmp_path / "state")


@pytest.fixture
def space(settings: Settings) -> Workspace:
    """The digits case in folders of the test's own, nothing made yet."""
    return Workspace.open("digits", settings)


@pytest.fixture
def digits(space: Workspace) -> Case:
    return space.case


CaseWriter = Callable[..., Path]


@pytest.fixture
def write_case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CaseWriter:
    """``write_case("name", {"case.py": "..."})`` writes a case's files and returns the home of cases.

    Homes that a test makes known are forgotten again, and so are the modules imported from them.
    """
    import sys

    import models.cases

    known = list(models.cases.__path__)
    monkeypatch.setattr(models.cases, "__path__", known)
    home = tmp_path / "cases"

    def write(name: str, files: dict[str, str]) -> Path:
        (home / name).mkdir(parents=True)
        for file, text in files.items():
            (home / name / file).write_text(text)
        for module in [each for each in sys.modules if each.startswith(f"models.cases.{name}")]:
            monkeypatch.delitem(sys.modules, module)
        return home

    return write
