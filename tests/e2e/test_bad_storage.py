"""Folders that cannot be written, disks that fill up, files that are missing or spoilt."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.servers]

Mount = Callable[..., None]

# ---- places --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["demo", "train"])
def test_artifacts_that_are_a_file(empty: Any, command: str) -> None:
    empty.artifacts.write_text("")
    done = empty.run(command)
    done.failed_with("StorageError", str(empty.artifacts), "ARTIFACTS=")
    empty.wait_for_quiet()


@pytest.mark.parametrize("command", ["demo", "serve"])
def test_a_state_that_is_a_file(copied: Any, command: str) -> None:
    copied.state.write_text("")
    done = copied.run(command)
    done.failed_with("StorageError", str(copied.state), "TWINSERVE_STATE")
    copied.wait_for_quiet()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_artifacts_without_permission(empty: Any) -> None:
    empty.artifacts.mkdir(mode=0o500)
    empty.run("train").failed_with("StorageError", str(empty.artifacts), "permissions")


def test_artifacts_on_a_file_system_that_may_not_be_written(empty: Any, mount: Mount) -> None:
    mount(empty.artifacts, "ro,size=64k")
    empty.run("train").failed_with("StorageError", str(empty.artifacts), "Read-only")


# ---- a full disk ---------------------------------------------------------------------------------------------


def test_a_disk_too_small_for_the_data(empty: Any, mount: Mount) -> None:
    mount(empty.artifacts, "size=256k")
    empty.run("demo").failed_with("StorageError", "No space left", "Free some space")
    assert files_in(empty.artifacts) == []
    empty.wait_for_quiet()


@pytest.mark.parametrize(
    ("last", "removed"),
    [
        # The next thing to be written after `last` does not fit.
        ("data", ("initial", "training", "exports", "1")),
        ("initial", ("training", "exports", "1")),
        ("training", ("exports", "1")),
        ("exports", ("1",)),
    ],
    ids=["no room for initial weights", "for weights", "for exports", "for the version"],
)
def test_a_disk_that_fills_up(
    finished: Any, empty: Any, mount: Mount, last: str, removed: tuple[str, ...]
) -> None:
    fill(finished, empty, mount, removed)
    kept = files_in(empty.artifacts)
    for command in ("train", "export"):
        done = empty.run(command)
        if done.code:
            break
    done.failed_with("StorageError", "No space left", "Free some space")
    assert empty.half_written() == []
    assert whole_folders(empty, removed) == []
    assert kept == [file for file in files_in(empty.artifacts) if file in kept]
    empty.wait_for_quiet()
    if last == "training":
        mount(empty.artifacts, "size=64m")
        empty.run("export").succeeded()


def fill(finished: Any, place: Any, mount: Mount, removed: tuple[str, ...]) -> None:
    """Everything that is finished but the folders ``removed``, on a disk with 100 kB to spare."""
    mount(place.artifacts, "size=64m")
    for path in (finished.artifacts / "digits").iterdir():
        if path.is_dir() and path.name not in (*removed, "scratch"):
            shutil.copytree(path, place.artifacts / "digits" / path.name)
    used = os.statvfs(place.artifacts)
    kilobytes = (used.f_blocks - used.f_bfree) * used.f_frsize // 1024
    mount(place.artifacts, f"size={kilobytes + 100}k")


def whole_folders(place: Any, removed: tuple[str, ...]) -> list[Path]:
    """What is taken for complete among the folders that had been removed."""
    home = place.artifacts / "digits"
    stages = [path for name in removed[:-1] for path in home.glob(f"{name}/*/result.json")]
    return [*(path for path in stages if removed[0] in path.parts), *home.glob("1/manifest.json")]


def files_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock")


# ---- spoilt files --------------------------------------------------------------------------------------------


def flip(path: Path) -> None:
    """Another value for one byte in the middle."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def version_of(place: Any) -> Path:
    path: Path = place.artifacts / "digits" / "1"
    return path


@pytest.mark.parametrize("command", ["demo", "verify", "report"])
def test_a_spoilt_file_is_found_by_its_digest(copied: Any, command: str) -> None:
    flip(version_of(copied) / "tensorflow" / "model.tflite")
    done = copied.run(command)
    assert done.code == 1, done.text
    assert "Traceback" not in done.text
    done.said("TFLite float32 is corrupt", "sha256", "FRESH=1")
    copied.wait_for_quiet()


@pytest.mark.parametrize("command", ["serve", "check"])
def test_nothing_spoilt_is_served(copied: Any, command: str) -> None:
    flip(version_of(copied) / "pytorch" / "digits.mar")
    done = copied.run(command)
    done.failed_with("ArtifactCorrupt", "MAR is corrupt", "sha256", "FRESH=1")
    assert "answers correctly" not in done.text
    copied.wait_for_quiet()


def test_a_missing_file_is_found(copied: Any) -> None:
    (version_of(copied) / "pytorch" / "model.pt").unlink()
    done = copied.run("demo")
    assert done.code == 1, done.text
    assert "Traceback" not in done.text
    done.said("TorchScript is missing", "model.pt", "FRESH=1")


@pytest.mark.parametrize("text", ["", "{}", '{"case": "digits"', "[1]", "null"])
def test_a_manifest_that_cannot_be_read(copied: Any, text: str) -> None:
    (version_of(copied) / "manifest.json").write_text(text)
    done = copied.run("serve")
    done.failed_with("ArtifactCorrupt", "manifest.json cannot be read", "FRESH=1")


@pytest.mark.slow
def test_what_the_message_says_to_do_about_a_spoilt_version_helps(copied: Any) -> None:
    (version_of(copied) / "manifest.json").write_text("{")
    flip(version_of(copied) / "tensorflow" / "model.tflite")
    copied.run("demo").failed_with("ArtifactCorrupt", "make export FRESH=1")
    copied.run("export", "--fresh").succeeded()
    copied.run("serve").succeeded()


def test_a_spoilt_training_is_found(copied: Any) -> None:
    for path in copied.artifacts.glob("digits/training/pytorch-*/reference.npz"):
        path.write_bytes(path.read_bytes()[:1000])
    copied.run("verify").failed_with("ArtifactCorrupt", "reference.npz")


@pytest.mark.parametrize("command", ["verify", "serve"])
def test_a_version_that_does_not_exist(copied: Any, command: str) -> None:
    done = copied.run(command, "--version", "99")
    done.failed_with("ArtifactMissing", "no version 99", "there is 1")
