"""Publishing is whole or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from models.errors import ArtifactMissing, StorageError
from serving.tfserving.repository import publish


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    folder = tmp_path / "exported"
    (folder / "variables").mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"graph")
    (folder / "variables" / "variables.index").write_bytes(b"index")
    return folder


def files_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_a_version_is_complete(exported: Path, tmp_path: Path) -> None:
    version = publish(exported, tmp_path / "deep" / "repository", 4)
    assert version == tmp_path / "deep" / "repository" / "4"
    assert files_in(version) == {"saved_model.pb", "variables/variables.index"}
    assert [path.name for path in version.parent.iterdir()] == ["4"]


def test_a_version_is_replaced(exported: Path, tmp_path: Path) -> None:
    publish(exported, tmp_path / "repository", 1)
    other = tmp_path / "other"
    other.mkdir()
    (other / "saved_model.pb").write_bytes(b"another graph")
    version = publish(other, tmp_path / "repository", 1)
    assert files_in(version) == {"saved_model.pb"}
    assert [path.name for path in version.parent.iterdir()] == ["1"]
    assert (exported / "saved_model.pb").read_bytes() == b"graph"


def test_files_are_copied_where_they_cannot_be_linked(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(source: str, target: str) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    version = publish(exported, tmp_path / "repository", 1)
    assert (version / "saved_model.pb").read_bytes() == b"graph"
    assert (version / "saved_model.pb").stat().st_nlink == 1


@pytest.mark.parametrize("make", [False, True])
def test_no_saved_model(tmp_path: Path, make: bool) -> None:
    if make:
        (tmp_path / "exported").mkdir()
    with pytest.raises(ArtifactMissing, match=r"saved_model\.pb"):
        publish(tmp_path / "exported", tmp_path / "repository", 1)
    assert not (tmp_path / "repository").exists()


def test_a_full_disk_leaves_nothing(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(source: str, target: str) -> None:
        Path(target).write_bytes(b"ha")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("serving.tfserving.repository._link_or_copy", full)
    with pytest.raises(StorageError, match="No space left on device"):
        publish(exported, tmp_path / "repository", 1)
    assert list((tmp_path / "repository").iterdir()) == []


def test_a_repository_that_is_a_file(exported: Path, tmp_path: Path) -> None:
    (tmp_path / "repository").write_text("not a folder")
    with pytest.raises(StorageError, match="cannot be written"):
        publish(exported, tmp_path / "repository", 1)


def test_the_old_version_comes_back_if_the_new_one_cannot_take_its_place(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = publish(exported, tmp_path / "repository", 1)
    rename = Path.rename

    def refuse(self: Path, target: Path) -> Path:
        if self.name.startswith(".incoming"):
            raise OSError(errno.EIO, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(StorageError, match="Input/output error"):
        publish(exported, tmp_path / "repository", 1)
    assert files_in(version) == {"saved_model.pb", "variables/variables.index"}
    assert [path.name for path in version.parent.iterdir()] == ["1"]
