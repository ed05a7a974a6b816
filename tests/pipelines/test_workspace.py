"""Digests: a change makes anew what depends on it, and nothing else."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from models.artifact import Artifact, Manifest
from models.case import case_folder
from models.errors import ArtifactMissing
from models.parity import Tolerance
from pipelines.settings import Settings
from pipelines.workspace import Workspace

DATA = "d" * 64
BOTH = ("tensorflow", "pytorch")


def digests(space: Workspace) -> dict[str, str]:
    """Every digest but the verification's, for the same data set."""
    found = {"data": space.data_key(), "version": space.version_digest(DATA)}
    for name in BOTH:
        found[f"initial {name}"] = space.initial_digest(name, DATA)
        found[f"training {name}"] = space.training_digest(name, DATA)
        found[f"export {name}"] = space.export_digest(name, DATA)
    return found


def changed(before: Workspace, after: Workspace) -> set[str]:
    one, other = digests(before), digests(after)
    return {name for name in one if one[name] != other[name]}


def of(*kinds: str, names: tuple[str, ...] = BOTH) -> set[str]:
    return {f"{kind} {name}" for kind in kinds for name in names} | {"version"}


def test_the_same_case_has_the_same_digests(space: Workspace, settings: Settings):
    assert changed(space, Workspace.open("digits", settings)) == set()
    assert len(set(digests(space).values())) == len(digests(space))


@pytest.mark.parametrize(
    "change", [{"epochs": 3}, {"batch_size": 16}, {"learning_rate": 0.1}, {"epsilon": 1e-8}]
)
def test_a_hyperparameter_trains_and_exports_anew(space: Workspace, settings: Settings, change):
    assert changed(space, Workspace.open("digits", settings, change)) == of("training", "export")


def test_another_seed_makes_everything_anew(space: Workspace, settings: Settings):
    other = Workspace.open("digits", settings, {"seed": 8})
    assert changed(space, other) == {"data"} | of("initial", "training", "export")


def test_other_data_make_everything_but_the_data_anew(space: Workspace):
    for name in BOTH:
        assert space.initial_digest(name, DATA) != space.initial_digest(name, "e" * 64)
        assert space.training_digest(name, DATA) != space.training_digest(name, "e" * 64)


def test_the_number_of_threads_trains_anew(space: Workspace):
    settings = space.settings.model_copy(update={"threads": space.settings.threads + 1})
    assert changed(space, replace(space, settings=settings)) == of("training", "export")


def test_other_calibration_rows_export_anew(space: Workspace):
    case = replace(space.case, calibration_rows=17)
    assert changed(space, replace(space, case=case)) == of("export")


def test_another_contract_makes_everything_anew(space: Workspace):
    contract = replace(space.case.contract, labels=tuple("abcdefghij"))
    other = replace(space, case=replace(space.case, contract=contract))
    assert changed(space, other) == {"data"} | of("initial", "training", "export")


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    artifact = Artifact("pytorch", "TorchScript", "pytorch/model.pt", 1, "a" * 64)
    return Manifest(
        case="digits",
        version=1,
        created="2026-01-02T03:04:05+00:00",
        git_commit="unknown",
        seed=7,
        hyperparameters={},
        data_digest=DATA,
        input_digest="i" * 64,
        framework_versions={},
        data="data",
        training={"tensorflow": "tensorflow-1", "pytorch": "pytorch-1"},
        artifacts=(artifact,),
    )


def test_a_changed_tolerance_verifies_anew_and_makes_nothing_anew(space: Workspace, manifest):
    tolerances = replace(space.case.tolerances, float32=Tolerance(atol=1e-3))
    other = replace(space, case=replace(space.case, tolerances=tolerances))
    assert changed(space, other) == set()
    assert other.verification_digest(manifest) != space.verification_digest(manifest)


def test_a_changed_file_is_verified_anew(space: Workspace, manifest: Manifest):
    (artifact,) = manifest.artifacts
    other = replace(manifest, artifacts=(replace(artifact, sha256="b" * 64),))
    assert space.verification_digest(other) != space.verification_digest(manifest)
    same = replace(manifest, created="2027-01-02T03:04:05+00:00", git_commit="0123")
    assert space.verification_digest(same) == space.verification_digest(manifest)


# ---- the case's own files ----


@pytest.fixture
def copied(write_case, settings: Settings) -> Callable[[], tuple[Workspace, Path]]:
    """A copy of digits under another name, and its folder."""

    def copy() -> tuple[Workspace, Path]:
        texts = {path.name: path.read_text() for path in case_folder("digits").glob("*.py")}
        texts["case.py"] = texts["case.py"].replace('name="digits"', 'name="copied"')
        home = write_case("copied", texts)
        known = settings.model_copy(update={"cases_path": str(home)})
        return Workspace.open("copied", known), home / "copied"

    return copy


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("pytorch.py", of("initial", "training", "export", names=("pytorch",))),
        ("tensorflow.py", of("initial", "training", "export", names=("tensorflow",))),
        ("layers.py", {"data"} | of("initial", "training", "export")),
        ("data.py", {"data"}),
        ("case.py", set()),
        ("README.md", set()),
    ],
)
def test_a_changed_file_of_a_case_makes_anew_what_depends_on_it(copied, file, expected):
    space, folder = copied()
    before = digests(space)
    path = folder / file
    path.write_text((path.read_text() if path.exists() else "") + "# changed\n")
    after = digests(space)
    assert {name for name in before if before[name] != after[name]} == expected


def test_a_case_has_digests_of_its_own(copied, space: Workspace):
    other, _ = copied()
    assert digests(other)["data"] != digests(space)["data"]


# ---- folders and versions ----


def test_folders_are_named_by_their_digests(space: Workspace):
    assert space.data_folder() == space.home / "data" / space.data_key()[:12]
    folder = space.training_folder("pytorch", DATA)
    assert folder.name == f"pytorch-{space.training_digest('pytorch', DATA)[:12]}"


def test_a_complete_folder_is_taken_unless_all_is_to_be_fresh(space: Workspace):
    folder = space.training_folder("pytorch", DATA)
    assert not space.is_complete(folder)
    folder.mkdir(parents=True)
    assert space.is_complete(folder)
    fresh = replace(space, fresh=True)
    assert not fresh.is_complete(folder)
    assert fresh.reusing().is_complete(folder)


def test_without_a_version_one_is_told_what_to_run(space: Workspace):
    with pytest.raises(ArtifactMissing, match="no exported version of 'digits'") as raised:
        space.manifest()
    assert "make export" in raised.value.hint


def test_the_latest_complete_version_is_taken(space: Workspace, manifest: Manifest):
    for number in (1, 2, 10):
        space.version_folder(number).mkdir(parents=True)
        replace(manifest, version=number, input_digest=f"{number}").write(
            space.version_folder(number)
        )
    (space.home / "11").mkdir()
    shutil.copytree(space.version_folder(2), space.home / ".partial-1-12")
    assert space.versions() == [1, 2, 10]
    assert space.manifest().version == 10
    assert space.manifest(2).version == 2
    found = space.version_of("2")
    assert found is not None
    assert found.version == 2
    assert space.version_of("3") is None
    with pytest.raises(ArtifactMissing, match="no version 3 of 'digits'; there is 1, 2, 10"):
        space.manifest(3)


def test_a_sample_is_other_data(space: Workspace) -> None:
    few = replace(space, settings=space.settings.model_copy(update={"sample": 300}))
    assert few.data_key() != space.data_key()


def test_constants_are_named_by_their_rows_and_by_who_computed_them(space, tmp_path):
    ours = space.constants_digest(DATA, None)
    assert space.constants_digest("e" * 64, None) != ours
    (tmp_path / "constants.json").write_text("{}")
    theirs = space.constants_digest(DATA, tmp_path / "constants.json")
    assert theirs != ours
    (tmp_path / "constants.json").write_text("{ }")
    assert space.constants_digest(DATA, tmp_path / "constants.json") != theirs


def test_a_changed_baseline_makes_no_network_anew(write_case, settings):
    source = case_folder("flights")
    names = [path.name for path in source.glob("*.*")]
    texts = {name: (source / name).read_text() for name in names}
    texts["case.py"] = texts["case.py"].replace('name="flights"', 'name="copied"')
    home = write_case("copied", texts)
    here = settings.model_copy(update={"cases_path": str(home)})
    before = Workspace.open("copied", here)
    told, was = digests(before), before.baseline_digest(DATA)
    (home / "copied" / "baseline.py").write_text(texts["baseline.py"] + "\n# A remark.\n")
    assert digests(before) == told
    assert before.baseline_digest(DATA) != was
