"""Whole or not at all: folders, files, digests, manifests, and places that cannot be written."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from models.artifact import (
    MANIFEST,
    PARTIAL,
    Artifact,
    Manifest,
    digest_of,
    digest_of_files,
    digest_of_parts,
    size_of,
    whole_folder,
    write_text,
)
from models.errors import ArtifactCorrupt, ArtifactMissing, StorageError

PROJECT = Path(__file__).resolve().parents[2]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# ---- whole folders ----


def test_a_folder_appears_at_the_end(tmp_path: Path):
    target = tmp_path / "deep" / "target"
    with whole_folder(target) as folder:
        (folder / "file").write_text("text")
        assert not target.exists()
    assert (target / "file").read_text() == "text"
    assert names(target.parent) == ["target"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_after_an_error_nothing_is_left(tmp_path: Path, error):
    with pytest.raises(error), whole_folder(tmp_path / "target") as folder:
        (folder / "file").write_text("text")
        raise error
    assert names(tmp_path) == []


def test_after_an_error_the_older_folder_is_still_there(tmp_path: Path):
    target = tmp_path / "target"
    with whole_folder(target) as folder:
        (folder / "file").write_text("old")
    with pytest.raises(ValueError), whole_folder(target) as folder:
        (folder / "file").write_text("new")
        raise ValueError
    assert (target / "file").read_text() == "old"
    assert names(tmp_path) == ["target"]


def test_an_older_folder_is_replaced_whole(tmp_path: Path):
    target = tmp_path / "target"
    for file in ("old", "new"):
        with whole_folder(target) as folder:
            (folder / file).write_text(file)
    assert names(target) == ["new"]
    assert names(tmp_path) == ["target"]


KILLED = """
import os, signal, sys
from pathlib import Path
from models.artifact import whole_folder
with whole_folder(Path(sys.argv[1])) as folder:
    (folder / "half").write_text("written")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def run_killed(target: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(target)], cwd=PROJECT, check=False)
    assert done.returncode == -signal.SIGKILL


def test_a_killed_process_leaves_nothing_that_counts_and_the_next_sweeps_it(tmp_path: Path):
    target = tmp_path / "target"
    run_killed(target)
    assert not target.exists()
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(PARTIAL)
    with whole_folder(target) as folder:
        (folder / "file").write_text("text")
    assert names(tmp_path) == ["target"]
    assert names(target) == ["file"]


def test_what_a_living_process_is_writing_is_not_swept(tmp_path: Path):
    others = tmp_path / f"{PARTIAL}{os.getppid()}-other"
    others.mkdir()
    with whole_folder(tmp_path / "target"):
        pass
    assert others.is_dir()


def test_what_an_earlier_process_of_our_own_id_left_is_in_nobodys_way(tmp_path: Path):
    """In a container every run may get the same process id."""
    ours = tmp_path / f"{PARTIAL}{os.getpid()}-target"
    ours.mkdir()
    (ours / "half").write_text("written")
    os.utime(ours, (1e9, 1e9))  # long before this process started
    with whole_folder(tmp_path / "target") as folder:
        (folder / "file").write_text("text")
    assert names(tmp_path / "target") == ["file"]


# ---- files ----


def test_a_text_is_written_whole(tmp_path: Path):
    path = tmp_path / "deep" / "facts.json"
    for text in ("old and longer", "new"):
        write_text(path, text)
    assert path.read_text() == "new"
    assert names(path.parent) == ["facts.json"]


def test_a_text_that_cannot_be_encoded_leaves_the_old_one(tmp_path: Path):
    path = tmp_path / "facts.json"
    write_text(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "\ud800")
    assert path.read_text() == "old"
    assert names(tmp_path) == ["facts.json"]


# ---- places that cannot be written ----


def test_a_file_in_the_way_of_a_folder_is_a_storage_error(tmp_path: Path):
    (tmp_path / "artifacts").write_text("a file")
    target = tmp_path / "artifacts" / "digits" / "1"
    told = "1 cannot be written: Not a directory"
    with pytest.raises(StorageError, match=told) as raised, whole_folder(target):
        raise AssertionError("nothing may be written")
    assert "ARTIFACTS=" in raised.value.hint
    with pytest.raises(StorageError, match="Not a directory"):
        write_text(target, "text")


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[list[Path]]:
    """Folders to be unmounted at the end."""
    mounted: list[Path] = []
    yield mounted
    for folder in mounted:
        subprocess.run(["umount", str(folder)], check=True)


def mount_tmpfs(mounted: list[Path], folder: Path, options: str) -> Path:
    folder.mkdir()
    if shutil.which("mount") is None:
        pytest.skip("there is no mount program here")
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"mounting a tmpfs is not permitted here: {done.stderr.strip()}")
    mounted.append(folder)
    return folder


def test_a_read_only_place_is_a_storage_error(tmp_path: Path, mount: list[Path]):
    place = mount_tmpfs(mount, tmp_path / "place", "ro")
    with pytest.raises(StorageError, match="Read-only file system"), whole_folder(place / "target"):
        raise AssertionError("nothing may be written")


def test_a_full_disk_is_a_storage_error_that_leaves_nothing(tmp_path: Path, mount: list[Path]):
    place = mount_tmpfs(mount, tmp_path / "place", "size=64k")
    told = "No space left on device"
    with pytest.raises(StorageError, match=told), whole_folder(place / "target") as folder:
        (folder / "large").write_bytes(bytes(200_000))
    with pytest.raises(StorageError, match=told):
        write_text(place / "facts.json", "x" * 200_000)
    assert names(place) == []
    with whole_folder(place / "target") as folder:
        (folder / "small").write_bytes(bytes(100))
    assert names(place / "target") == ["small"]


# ---- digests ----


def tree(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_a_folders_digest_covers_names_and_contents(tmp_path: Path):
    variants = [
        {"a": "1", "b/c": "2"},
        {"a": "1", "b/c": "3"},
        {"a": "1", "b/d": "2"},
        {"a": "2", "b/c": "1"},
        {"a": "1", "b/c": "2", "e": ""},
    ]
    folders = [tree(tmp_path / str(i), files) for i, files in enumerate(variants)]
    assert len({digest_of(folder) for folder in folders}) == len(variants)
    same = tree(tmp_path / "same", {"b/c": "2", "a": "1"})
    assert digest_of(same) == digest_of(folders[0])
    assert size_of(same) == 2


def test_a_files_digest_is_its_sha256(tmp_path: Path):
    (tmp_path / "file").write_text("abc")
    assert digest_of(tmp_path / "file").startswith("ba7816bf8f01cfea")


def test_parts_are_told_apart():
    assert digest_of_parts("ab", "c") != digest_of_parts("a", "bc")
    assert digest_of_parts("a") != digest_of_parts("a", "")
    assert digest_of_parts({"x": 1}, None) == digest_of_parts({"x": 1}, None)


def test_source_files_are_digested_by_name_and_content_not_by_place(tmp_path: Path):
    here, there = (tree(tmp_path / at, {"a.py": "1", "b.py": "2"}) for at in ("here", "there"))
    digest = digest_of_files(here.iterdir())
    assert digest == digest_of_files(sorted(there.iterdir(), reverse=True))
    (there / "b.py").write_text("3")
    assert digest != digest_of_files(there.iterdir())


# ---- artifacts and manifests ----


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    """Of a version with a folder and a file."""
    tree(tmp_path, {"tensorflow/saved_model/saved_model.pb": "graph", "pytorch/model.pt": "module"})
    return Manifest(
        case="digits",
        version=3,
        created="2026-01-02T03:04:05+00:00",
        git_commit="0123456789ab-dirty",
        seed=7,
        hyperparameters={"epochs": 20, "learning_rate": 2e-3},
        data_digest="d" * 64,
        input_digest="i" * 64,
        framework_versions={"tensorflow": "Keras 3", "pytorch": "PyTorch 2"},
        data="dddd",
        training={"tensorflow": "tensorflow-1", "pytorch": "pytorch-1"},
        artifacts=(
            Artifact.of("tensorflow", "SavedModel", tmp_path, "tensorflow/saved_model"),
            Artifact.of("pytorch", "TorchScript", tmp_path, "pytorch/model.pt"),
        ),
    )


def test_a_manifest_is_read_as_it_was_written(tmp_path: Path, manifest: Manifest):
    manifest.write(tmp_path)
    assert Manifest.read(tmp_path) == manifest


def test_artifacts_are_found_by_format_and_hold_their_digest(tmp_path: Path, manifest: Manifest):
    saved_model = manifest.artifact("SavedModel")
    assert saved_model.check(tmp_path) == tmp_path / "tensorflow/saved_model"
    assert saved_model.bytes == 5
    with pytest.raises(ArtifactMissing, match="Version 3 of digits has no TFLite int8"):
        manifest.artifact("TFLite int8")


@pytest.mark.parametrize("damage", ["changed", "cut off", "one file more"])
def test_a_changed_artifact_is_corrupt(tmp_path: Path, manifest: Manifest, damage):
    file = tmp_path / "tensorflow/saved_model/saved_model.pb"
    if damage == "one file more":
        file.with_name("more").write_text("")
    else:
        file.write_text({"changed": "Graph", "cut off": "gra"}[damage])
    saved_model = manifest.artifact("SavedModel")
    with pytest.raises(ArtifactCorrupt) as raised:
        saved_model.check(tmp_path)
    assert "SavedModel is corrupt" in raised.value.message
    assert saved_model.sha256[:12] in raised.value.message
    assert "make export" in raised.value.hint
    manifest.artifact("TorchScript").check(tmp_path)


def test_a_deleted_artifact_is_missing(tmp_path: Path, manifest: Manifest):
    (tmp_path / "pytorch/model.pt").unlink()
    with pytest.raises(ArtifactMissing, match=r"TorchScript is missing: .*model\.pt"):
        manifest.artifact("TorchScript").check(tmp_path)


def test_no_manifest_is_missing(tmp_path: Path):
    with pytest.raises(ArtifactMissing, match=MANIFEST):
        Manifest.read(tmp_path)


def corruptions(stored: dict) -> dict[str, str]:
    artifact = stored["artifacts"][0]
    return {
        "empty": "",
        "cut off": json.dumps(stored)[:-40],
        "a list": "[]",
        "a field less": json.dumps({k: v for k, v in stored.items() if k != "seed"}),
        "a field more": json.dumps({**stored, "colour": "red"}),
        "no artifacts": json.dumps({k: v for k, v in stored.items() if k != "artifacts"}),
        "an artifact's field less": json.dumps(
            {**stored, "artifacts": [{k: v for k, v in artifact.items() if k != "sha256"}]}
        ),
    }


@pytest.mark.parametrize(
    "damage",
    [
        "empty",
        "cut off",
        "a list",
        "a field less",
        "a field more",
        "no artifacts",
        "an artifact's field less",
    ],
)
def test_a_manifest_that_cannot_be_read_is_corrupt(tmp_path: Path, manifest: Manifest, damage):
    text = corruptions(json.loads(json.dumps(asdict(manifest))))[damage]
    (tmp_path / MANIFEST).write_text(text)
    with pytest.raises(ArtifactCorrupt, match="cannot be read"):
        Manifest.read(tmp_path)


def test_writing_a_manifest_again_replaces_it_whole(tmp_path: Path, manifest: Manifest):
    manifest.write(tmp_path)
    with suppress(StorageError):
        replace(manifest, version=4).write(tmp_path)
    assert Manifest.read(tmp_path).version == 4
    assert not list(tmp_path.glob(f"{PARTIAL}*"))
