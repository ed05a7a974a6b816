"""Versions exchanged while clients ask: the good ones without a trace, the bad ones not at all."""

from __future__ import annotations

import json
import shutil
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from models.artifact import Artifact, Manifest
from models.errors import ArtifactCorrupt, ArtifactMissing, ServerDied, ServerNotReady
from pipelines.alone import export_alone, train_alone
from pipelines.deploy import deploy, rollback
from pipelines.serve import StartedServers, leave_running, left_running
from pipelines.workspace import Workspace
from serving.torchserve.repository import pack

pytestmark = [pytest.mark.servers, pytest.mark.frameworks]


@dataclass(frozen=True)
class Running:
    """Both servers with version 1, left running.

    Attributes:
        space: the case; version 1 is honest, version 2 is another training's, honest too.
        second: version 2.
        started: the servers.
        sabotaged: makes further versions with wrong artifacts.
    """

    space: Workspace
    second: Manifest
    started: StartedServers
    sabotaged: object

    def version(self, number: int, mistakes: Mapping[str, str]) -> Manifest:
        """A version with wrong artifacts under right digests, whose archive states its number."""
        manifest = self.sabotaged.version(number, mistakes)  # type: ignore[attr-defined]
        folder = self.space.version_folder(number)
        if "MAR" not in mistakes:
            script = folder / manifest.artifact("TorchScript").path
            archive = folder / manifest.artifact("MAR").path
            pack(script, self.space.case.contract, "digits", str(number), archive)
        artifacts = tuple(
            Artifact.of(each.framework, each.format, folder, each.path)
            for each in manifest.artifacts
        )
        manifest = replace(manifest, artifacts=artifacts)
        manifest.write(folder)
        return manifest

    def served(self) -> tuple[int, int]:
        """The versions that TF Serving and TorchServe answer with."""
        records = {record.name: record for record in left_running(self.space)}
        url = f"http://127.0.0.1:{records['tfserving'].ports['rest']}/v1/models/digits"
        with urllib.request.urlopen(url, timeout=10) as answer:
            states = json.load(answer)["model_version_status"]
        (available,) = [int(s["version"]) for s in states if s["state"] == "AVAILABLE"]
        return available, int(records["torchserve"].tags["version"])

    def published(self) -> list[str]:
        """What lies in both servers' folders."""
        home = self.started.home
        folders = sorted(path.name for path in (home / "models/digits").glob("[0-9]*"))
        return folders + sorted(path.name for path in (home / "model-store").glob("*"))


@pytest.fixture(scope="module")
def running(
    sabotaged, trained, state: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    home = tmp_path_factory.mktemp("deployed").resolve()  # its next version is 2
    shutil.copytree(trained.space.home, home / "digits")
    own = {"artifacts": home, "state": state / "deploy"}
    settings = trained.space.settings.model_copy(
        update={**own, "startup_timeout_seconds": 30, "drain_seconds": 0.5}
    )
    other = Workspace.open("digits", settings, {"epochs": 2, "seed": 11})
    train_alone(other)
    second = export_alone(other)
    space = replace(trained.space, settings=settings)
    started = leave_running(space, space.manifest(1))
    yield Running(space, second, started, replace(sabotaged, space=space))
    started.stop()


@pytest.fixture(autouse=True)
def version_1_before_and_after(running: Running) -> Iterator[None]:
    assert running.published() == ["1", "digits-1.mar"]
    yield
    assert running.served() == (1, 1)
    assert running.published() == ["1", "digits-1.mar"]


def test_there_and_back_without_a_failed_or_a_wrong_answer(running: Running):
    there = deploy(running.space, running.second)
    assert running.served() == (2, 2)
    assert running.published() == ["2", "digits-2.mar"]
    back = rollback(running.space)
    for row in (*there, *back):
        assert (row.failed, row.wrong, row.first_problem) == (0, 0, "")
        assert row.old > 0, "nobody asked before the switch"
        assert row.new > 0, "nobody asked after it"
        assert row.switch_seconds is not None
    assert [(row.server, row.protocol) for row in there] == [
        ("TF Serving API (embedded)", "REST"),
        ("TF Serving API (embedded)", "gRPC"),
        ("TorchServe 0.12.0", "REST"),
        ("TorchServe 0.12.0", "gRPC"),
    ]


def test_the_version_that_is_served_is_left_alone(running: Running):
    assert deploy(running.space, running.space.manifest(1)) == []


def test_a_damaged_artifact_changes_nothing(running: Running):
    manifest = running.version(61, {})
    archive = running.space.version_folder(61) / manifest.artifact("MAR").path
    archive.write_bytes(archive.read_bytes()[:-100])
    with pytest.raises(ArtifactCorrupt):
        deploy(running.space, manifest)


def test_a_saved_model_that_cannot_be_loaded_leaves_both_on_the_old_version(running: Running):
    with pytest.raises(ServerNotReady, match="TF Serving cannot load version 62"):
        deploy(running.space, running.version(62, {"SavedModel": "truncated"}))


def test_an_archive_that_cannot_be_loaded_leaves_both_on_the_old_version(
    running: Running, tmp_path: Path
):
    manifest = running.version(63, {})
    folder = running.space.version_folder(63)
    script = tmp_path / "model.pt"
    script.write_bytes(b"no TorchScript")
    archive = folder / manifest.artifact("MAR").path
    pack(script, running.space.case.contract, "digits", "63", archive)
    artifacts = tuple(
        Artifact.of(each.framework, each.format, folder, each.path) for each in manifest.artifacts
    )
    manifest = replace(manifest, artifacts=artifacts)
    manifest.write(folder)
    with pytest.raises(ServerNotReady, match="TorchServe cannot load version 63"):
        deploy(running.space, manifest)


def test_wrong_answers_are_seen_and_the_old_version_comes_back(running: Running):
    """A model that loads and answers as neither version does: only comparing every answer can tell."""
    with pytest.raises(ServerNotReady, match="REST answers wrongly with the new version") as caught:
        deploy(running.space, running.version(64, {"SavedModel": "another-run"}))
    assert "An answer is neither version's" in caught.value.hint


def test_an_archive_that_states_another_version_is_refused(running: Running):
    manifest = running.version(65, {"MAR": "another-model"})
    with pytest.raises(ServerNotReady, match=r"version 65|cannot load"):
        deploy(running.space, manifest)


def test_nothing_to_go_back_to(running: Running, tmp_path: Path):
    settings = running.space.settings.model_copy(update={"state": tmp_path})
    with pytest.raises(ServerDied, match="No server of 'digits' is running"):
        rollback(replace(running.space, settings=settings))


def test_rollback_needs_an_earlier_version(running: Running):
    records = left_running(running.space)
    for record in records:
        tags = {k: v for k, v in record.tags.items() if k != "previous"}
        replace(record, tags=tags).write(running.space.settings.records)
    with pytest.raises(ArtifactMissing, match="No other version"):
        rollback(running.space)
