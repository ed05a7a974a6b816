"""TFX's own InfraValidator in the image that serves TF Serving's API: what loads is blessed, all else is not."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from models import worker
from models.artifact import Artifact, Manifest
from models.errors import WorkerError
from models.formats import Format
from pipelines.facts import Outcome
from pipelines.serve import stop_all
from pipelines.settings import PROJECT, Settings
from pipelines.tfx.environment import is_ready
from pipelines.tfx.infra_validator import own_infra_validator
from pipelines.workspace import Workspace
from serving.container import RECORDS

if TYPE_CHECKING:
    from docker import DockerClient

    from serving.image_recipe import Image
    from tests.conftest import Trained

pytestmark = [
    pytest.mark.docker,
    pytest.mark.tfx,
    pytest.mark.servers,
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not is_ready(), reason="TFX is not installed: make setup-tfx"),
]

PATIENCE_SECONDS = 120
ALONE = """
import sys
from pipelines.settings import read_settings
from pipelines.tfx.infra_validator import own_infra_validator
from pipelines.workspace import Workspace
space = Workspace.open("digits", read_settings())
own_infra_validator(space, space.manifest(1))
"""


@pytest.fixture
def candidate(trained: Trained, embedded: Image, tmp_path: Path, state: Path) -> Workspace:
    """A copy of the trained version, to be spoilt; it is to run in the embedded server's image."""
    settings = Settings(
        artifacts=tmp_path / "artifacts",
        state=state,
        launcher="auto",
        tfserving_image=embedded.name,
    )
    space = Workspace.open("digits", settings)
    shutil.copytree(trained.version, space.version_folder(1))
    return space


def left(engine: DockerClient, space: Workspace, status: str = "") -> list[str]:
    """Names of the workspace's containers; of those in one status only, where it is given."""
    filters = {"label": f"{RECORDS}={space.settings.records.resolve()}"}
    if status:
        filters["status"] = status
    found = engine.containers.list(all=True, filters=filters, ignore_removed=True)
    return [each.name for each in found]


def wait_until(done: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not done():
        assert time.monotonic() < deadline, f"no {what}"
        time.sleep(0.1)


def kill_at_once(pid: int) -> None:
    """A process and all below it, so that none is left to stop what another had started."""
    whole = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    for each in whole:
        each.suspend()
    for each in whole:
        each.kill()


def with_broken_variables(space: Workspace) -> Manifest:
    """The manifest of a SavedModel that is whole by its digest, and whose weights nobody can read."""
    folder, manifest = space.version_folder(1), space.manifest(1)
    good = manifest.artifact(Format.SAVED_MODEL)
    for file in (folder / good.path / "variables").iterdir():
        file.write_bytes(b"not a checkpoint")
    broken = Artifact.of(good.framework, good.format, folder, good.path)
    others = tuple(each for each in manifest.artifacts if each != good)
    return replace(manifest, artifacts=(*others, broken))


def test_what_the_server_loads_is_blessed(
    candidate: Workspace, embedded: Image, engine: DockerClient
) -> None:
    check = own_infra_validator(candidate, candidate.manifest(1))
    assert check.outcome is Outcome.PASS, check.detail
    assert (check.subject, check.figure) == (embedded.label, f"blessed, in {embedded.name}")
    assert left(engine, candidate) == []


def test_what_the_server_cannot_load_is_refused_in_the_server_s_own_words(
    candidate: Workspace, embedded: Image, engine: DockerClient
) -> None:
    # The server ends at once, and TFX waits for it all the same.
    settings = candidate.settings.model_copy(update={"startup_timeout_seconds": 20})
    space = Workspace.open("digits", settings)
    check = own_infra_validator(space, with_broken_variables(space))
    assert check.outcome is Outcome.FAIL
    assert (check.subject, check.figure) == (embedded.label, f"not blessed, in {embedded.name}")
    assert "DATA_LOSS" in check.detail, check.detail
    assert left(engine, candidate) == []


def test_a_container_outlives_neither_its_process_nor_a_stopped_run(
    candidate: Workspace, engine: DockerClient
) -> None:
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(own_infra_validator, candidate, candidate.manifest(1))
        wait_until(lambda: left(engine, candidate) or running.done(), "container")
        worker.stop_all()
        with pytest.raises(WorkerError):
            running.result(PATIENCE_SECONDS)
    assert left(engine, candidate) == []


def test_stop_removes_the_container_of_a_killed_run(
    candidate: Workspace, engine: DockerClient, embedded: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("artifacts", "state", "launcher", "tfserving_image"):
        monkeypatch.setenv(f"TWINSERVE_{name.upper()}", str(getattr(candidate.settings, name)))
    with subprocess.Popen([sys.executable, "-c", ALONE], cwd=PROJECT) as run:
        # One that is made and does not run yet is removed without a word.
        wait_until(
            lambda: left(engine, candidate, "running") or run.poll() is not None, "container"
        )
        kill_at_once(run.pid)
    (name,) = left(engine, candidate)
    ports = engine.containers.get(name).ports
    assert {each["HostIp"] for found in ports.values() for each in found or ()} == {"127.0.0.1"}
    assert f"{embedded.label} (container {name})" in stop_all(candidate.settings.records)
    assert left(engine, candidate) == []


def test_an_image_that_is_not_here_is_named(candidate: Workspace) -> None:
    settings = candidate.settings.model_copy(update={"tfserving_image": "twinserve/none:1"})
    space = Workspace.open("digits", settings)
    check = own_infra_validator(space, space.manifest(1))
    assert check.outcome is Outcome.WARNING
    assert "not run: The image twinserve/none:1 is not on this machine" in check.figure
