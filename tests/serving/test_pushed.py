"""A pair of files in service: replaced together, or not at all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from models.artifact import Manifest
from models.errors import ArtifactCorrupt, ArtifactMissing, StorageError
from serving.pushed import (
    CURRENT,
    find_push,
    in_service,
    put_in_service,
    put_out_of_service,
    stage_pair,
)
from tests.serving.test_publish import CASE, PROJECT, make_version

PATIENCE_SECONDS = 30
KILLED_AT = {
    "while the files are laid out": ("serving.torchserve.repository", "publish"),
    "before the pointer": ("serving.pushed", "put_in_service"),
    "between the pointer's two steps": ("os", "replace"),
}


@pytest.fixture
def artifacts(tmp_path: Path) -> Path:
    for number in (1, 2):
        make_version(tmp_path / "artifacts", number)
    return tmp_path / "artifacts" / CASE


def push(artifacts: Path, number: int) -> None:
    folder = artifacts / str(number)
    stage_pair(artifacts / "pushed", folder, Manifest.read(folder), CASE, f'{{"n": {number}}}')
    put_in_service(artifacts / "pushed", number)


def served(artifacts: Path) -> tuple[int, str, bool]:
    """What both servers would read now: the version, the SavedModel's graph, whether the archive is there."""
    found = in_service(artifacts / "pushed")
    assert found is not None
    files = found.files(CASE)
    graph = (files["tensorflow"][0] / "saved_model.pb").read_text()
    return found.version, graph, files["pytorch"][0].is_file()


def test_both_files_are_replaced_by_one_rename(artifacts: Path) -> None:
    pushed = artifacts / "pushed"
    assert in_service(pushed) is None
    push(artifacts, 1)
    assert served(artifacts) == (1, "graph 1", True)
    folder = artifacts / "2"
    stage_pair(pushed, folder, Manifest.read(folder), CASE, "{}")
    assert served(artifacts) == (1, "graph 1", True), "staged is not in service"
    put_in_service(pushed, 2)
    assert served(artifacts) == (2, "graph 2", True)
    assert {path.name for path in pushed.iterdir()} == {"1", "2", CURRENT}
    put_in_service(pushed, 1)
    assert served(artifacts) == (1, "graph 1", True)


@pytest.mark.parametrize("moment", KILLED_AT)
def test_a_push_that_is_killed_leaves_the_old_pair_in_service(artifacts: Path, moment: str) -> None:
    push(artifacts, 1)
    module, function = KILLED_AT[moment]
    program = f"""
import os, signal, sys
from importlib import import_module
from pathlib import Path
from tests.serving.test_pushed import push
module = import_module({module!r})
die = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
setattr(module, {function!r}, die)
import tests.serving.test_pushed as ours
ours.put_in_service = module.put_in_service if hasattr(module, "put_in_service") else ours.put_in_service
push(Path(sys.argv[1]), 2)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(artifacts)],
        cwd=PROJECT,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    assert served(artifacts) == (1, "graph 1", True)
    push(artifacts, 2)
    assert served(artifacts) == (2, "graph 2", True)
    assert not list((artifacts / "pushed").rglob(".*")), "what was left half-written is gone"


def test_a_version_with_a_missing_file_is_not_laid_out(artifacts: Path) -> None:
    push(artifacts, 1)
    (artifacts / "2/pytorch/digits.mar").unlink()
    with pytest.raises(ArtifactMissing, match="MAR is missing"):
        push(artifacts, 2)
    assert served(artifacts) == (1, "graph 1", True)
    assert find_push(artifacts / "pushed", 2) is None


def test_a_full_disk_leaves_the_old_pair_in_service(
    artifacts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    push(artifacts, 1)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "symlink_to", full)
    with pytest.raises(StorageError, match="No space left"):
        push(artifacts, 2)
    assert served(artifacts) == (1, "graph 1", True)


def test_a_pointer_to_nothing_is_told(artifacts: Path) -> None:
    push(artifacts, 1)
    put_in_service(artifacts / "pushed", 7)
    with pytest.raises(ArtifactCorrupt, match="'7'"):
        in_service(artifacts / "pushed")
    put_out_of_service(artifacts / "pushed")
    assert in_service(artifacts / "pushed") is None
    put_in_service(artifacts / "pushed", 1)
    assert served(artifacts) == (1, "graph 1", True)
