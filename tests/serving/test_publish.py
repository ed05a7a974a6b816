"""``python -m serving.publish``: what lands in a serving home, and what never does."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import pytest

from models.artifact import Artifact, Manifest
from models.formats import Format
from serving.publish import MAR, SAVED_MODEL

PROJECT = Path(__file__).resolve().parents[2]
CASE = "digits"
NOBODY = 65534


def make_version(artifacts: Path, number: int) -> Path:
    """A version's folder with the two files that are served, each told apart by the number."""
    folder = artifacts / CASE / str(number)
    variables = folder / "tensorflow/saved_model/variables"
    variables.mkdir(parents=True)
    (variables.parent / "saved_model.pb").write_text(f"graph {number}")
    (variables / "variables.index").write_text(f"variables {number}")
    (folder / "pytorch").mkdir()
    with zipfile.ZipFile(folder / "pytorch/digits.mar", "w") as archive:
        archive.writestr("MAR-INF/MANIFEST.json", "{}")
        archive.writestr("model.pt", f"module {number}")
    artifacts_of_it = (
        Artifact.of("tensorflow", SAVED_MODEL, folder, "tensorflow/saved_model"),
        Artifact.of("pytorch", MAR, folder, "pytorch/digits.mar"),
    )
    stated = {"hyperparameters": {}, "framework_versions": {}, "training": {}}
    named = dict.fromkeys(("git_commit", "data_digest", "input_digest", "data"), "")
    Manifest(
        case=CASE, version=number, created="", seed=0, artifacts=artifacts_of_it, **stated, **named
    ).write(folder)
    return folder


@pytest.fixture
def artifacts(tmp_path):
    for number in (1, 2, 10):
        make_version(tmp_path / "artifacts", number)
    return tmp_path / "artifacts"


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


AS_NOBODY = f"""
import os, sys
from serving.publish import main
if os.geteuid() == 0:  # nothing is closed to root; Python itself may be closed to anybody else
    os.setgroups([]), os.setgid({NOBODY}), os.setuid({NOBODY})
sys.exit(main())
"""


def publish(artifacts: Path, home: Path, *more: str, case: str = CASE, code: str = ""):
    command = [sys.executable, *(("-c", code) if code else ("-m", "serving.publish"))]
    command += [f"--artifacts={artifacts}", f"--home={home}", f"--case={case}", *more]
    return subprocess.run(
        command, cwd=PROJECT, capture_output=True, text=True, check=False, timeout=60
    )


def served(home: Path) -> tuple[list[str], list[str]]:
    """What each server would find."""
    folders = sorted(path.name for path in (home / "models" / CASE).glob("*"))
    return folders, sorted(path.name for path in (home / "model-store").glob("*"))


def test_the_latest_version_lands_where_both_servers_look(artifacts, home):
    done = publish(artifacts, home)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "digits: version 10 is published\n"
    assert served(home) == (["10"], ["digits-10.mar"])
    saved_model = home / "models/digits/10"
    assert (saved_model / "saved_model.pb").read_text() == "graph 10"
    assert (saved_model / "variables/variables.index").read_text() == "variables 10"
    with zipfile.ZipFile(home / "model-store/digits-10.mar") as archive:
        assert archive.read("model.pt") == b"module 10"


def test_versions_stand_beside_one_another(artifacts, home):
    for number in ("10", "1"):
        assert publish(artifacts, home, f"--version={number}").returncode == 0
    assert served(home) == (["1", "10"], ["digits-1.mar", "digits-10.mar"])


def test_only_withdraws_what_is_newer_and_keeps_what_is_older(artifacts, home):
    for number in ("1", "2", "10"):
        publish(artifacts, home, f"--version={number}")
    done = publish(artifacts, home, "--version=2", "--only")
    assert "withdrawn, being newer: 10" in done.stdout
    assert served(home) == (["1", "2"], ["digits-1.mar", "digits-2.mar"])


def test_only_leaves_other_models_alone(artifacts, home):
    (home / "model-store").mkdir(parents=True)
    (home / "model-store/digits-of-another-12.mar").write_text("")
    (home / "models/flights/12").mkdir(parents=True)
    assert publish(artifacts, home, "--version=1", "--only").returncode == 0
    assert served(home) == (["1"], ["digits-1.mar", "digits-of-another-12.mar"])
    assert (home / "models/flights/12").is_dir()


def test_what_is_there_unchanged_is_not_written_again(artifacts, home):
    publish(artifacts, home, "--version=2")
    folder, archive = home / "models/digits/2", home / "model-store/digits-2.mar"
    before = folder.stat().st_ino, archive.stat().st_ino
    assert publish(artifacts, home, "--version=2").returncode == 0
    assert (folder.stat().st_ino, archive.stat().st_ino) == before


def test_what_was_changed_in_the_home_is_made_good(artifacts, home):
    publish(artifacts, home, "--version=2")
    damaged = home / "models/digits/2/saved_model.pb"
    damaged.unlink()  # the artifact itself may be linked to it
    damaged.write_text("something else")
    (home / "model-store/digits-2.mar").write_text("something else")
    assert publish(artifacts, home, "--version=2").returncode == 0
    assert damaged.read_text() == "graph 2"
    assert zipfile.is_zipfile(home / "model-store/digits-2.mar")


@pytest.mark.parametrize("file", ["tensorflow/saved_model/saved_model.pb", "pytorch/digits.mar"])
def test_nothing_of_a_corrupt_version_is_published(artifacts, home, file):
    (artifacts / CASE / "10" / file).write_bytes(b"tampered with")
    done = publish(artifacts, home)
    assert done.returncode == 1
    assert "is corrupt" in done.stderr
    assert "make export FRESH=1" in done.stderr
    assert served(home) == ([], [])


@pytest.mark.parametrize("file", ["tensorflow/saved_model", "pytorch/digits.mar"])
def test_nothing_of_an_incomplete_version_is_published(artifacts, home, file):
    path = artifacts / CASE / "10" / file
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    done = publish(artifacts, home)
    assert done.returncode == 1
    assert "is missing" in done.stderr
    assert served(home) == ([], [])


def test_a_version_that_is_not_there_is_named_with_those_that_are(artifacts, home):
    done = publish(artifacts, home, "--version=3")
    assert done.returncode == 1
    assert "There is no version 3" in done.stderr
    assert "there is 1, 2, 10" in done.stderr


def test_a_case_without_versions_says_what_to_run(artifacts, home):
    done = publish(artifacts, home, case="flights")
    assert done.returncode == 1
    assert "make demo" in done.stderr


@pytest.mark.parametrize("version", ["0", "-1", "newest", "1.0", ""])
def test_a_malformed_version_is_refused(artifacts, home, version):
    done = publish(artifacts, home, f"--version={version}")
    assert done.returncode == 2
    assert "neither a version's number nor 'latest'" in done.stderr


@pytest.mark.parametrize("case", ["../digits", "a/b", "", "."])
def test_a_case_cannot_lead_out_of_the_folders(artifacts, home, case):
    assert publish(artifacts, home, case=case).returncode == 2


def test_a_home_that_cannot_be_made_is_told(artifacts, tmp_path):
    (tmp_path / "file").write_text("")
    done = publish(artifacts, tmp_path / "file")
    assert done.returncode == 1
    assert "cannot be written" in done.stderr


@pytest.mark.parametrize("which", [".", "10", "10/tensorflow/saved_model/variables"])
def test_artifacts_that_this_user_may_not_read_are_told(artifacts, which):
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        copied = Path(folder) / "artifacts"
        shutil.copytree(artifacts, copied)
        home = Path(folder) / "home"
        home.mkdir()
        home.chmod(0o777)
        closed = copied / CASE / which
        closed.chmod(0o000)
        try:
            done = publish(copied, home, code=AS_NOBODY)
        finally:
            closed.chmod(0o755)
        assert done.returncode == 1
        assert "cannot be read" in done.stderr
        assert "chmod" in done.stderr
        assert "Traceback" not in done.stderr
        assert served(home) == ([], [])


def test_formats_are_those_of_the_manifest():
    assert (SAVED_MODEL, MAR) == (Format.SAVED_MODEL, Format.MAR)


def test_nothing_is_imported_that_the_image_does_not_hold():
    absent = ["pydantic", "prefect", "httpx", "grpc", "docker", "safetensors", "torch", "rich"]
    code = f"import sys, serving.publish; print([m for m in {absent!r} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
