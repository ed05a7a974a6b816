"""What may not be pushed is not, and what is in service stays: a blessing missing, a check that said no."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from models.artifact import Artifact
from models.errors import ArtifactCorrupt, ArtifactMissing, NotBlessed, StorageError
from pipelines.alone import push_alone
from pipelines.facts import (
    Blessings,
    Check,
    DataFacts,
    EvaluationFacts,
    Findings,
    InfraFacts,
    Outcome,
    PushRecord,
    ValidationFacts,
)
from pipelines.in_service import (
    baseline_for,
    manifest_in_service,
    manifest_to_serve,
    model_in_service,
    served_digests,
)
from pipelines.push import push
from pipelines.settings import Settings
from pipelines.workspace import Workspace
from serving.pushed import find_push, put_in_service, stage_pair
from tests.serving.test_publish import CASE, make_version

WORSE = "all rows: roc_auc 0.580, at most 0.01 worse than the model in service"


@pytest.fixture
def space(tmp_path: Path) -> Workspace:
    """Three versions, of which the first is in service."""
    for number in (1, 2, 3):
        make_version(tmp_path / "artifacts", number)
    space = Workspace.open(
        CASE, Settings(artifacts=tmp_path / "artifacts", state=tmp_path / "state")
    )
    put(space, 1)
    return space


def put(space: Workspace, number: int, replaced: int | None = None) -> None:
    record = PushRecord(
        case=CASE,
        version=number,
        pushed=datetime(2026, 1, 2, tzinfo=UTC),
        replaced=replaced,
        training={"tensorflow": f"tensorflow-{number}", "pytorch": f"pytorch-{number}"},
        trained_on=[1, 2, 3],
        artifacts=served_digests(space.manifest(number)),
        evaluation_blessings={},
        infra_blessings={},
    )
    folder, manifest = space.version_folder(number), space.manifest(number)
    stage_pair(space.pushed_folder(), folder, manifest, CASE, record.model_dump_json())
    put_in_service(space.pushed_folder(), number)


def blessings(**changes: Any) -> Blessings:
    check = Check(
        stage="evaluate",
        subject="PyTorch",
        question="Blessed",
        outcome=Outcome.FAIL,
        figure="",
        detail=WORSE,
    )
    given = {
        "models": {"tensorflow": 1, "pytorch": 2},
        "servers": {"tfserving": 3, "torchserve": 4},
    }
    given |= changes
    return Blessings(
        validated=ValidationFacts(
            constants="", digest="", spans="", numbers=[], findings=Findings()
        ),
        evaluated=EvaluationFacts(blessings=given["models"], findings=Findings(checks=[check])),
        infra=InfraFacts(blessings=given["servers"], findings=Findings()),
        failed=given.get("failed", []),
    )


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"models": {"tensorflow": 1}}, f"no blessing of PyTorch by TFMA ({WORSE})"),
        ({"models": {"pytorch": 2}}, "no blessing of Keras by TFMA"),
        ({"servers": {"tfserving": 3}}, "no infra blessing of TorchServe"),
        ({"servers": {"torchserve": 4}}, "no infra blessing of TF Serving"),
        ({"models": {}, "servers": {}}, "no infra blessing of TorchServe"),
        ({"failed": ["Keras: keeps up with the baseline: 0.60"]}, "keeps up with the baseline"),
    ],
)
def test_one_no_refuses_both_and_is_named(
    space: Workspace, changes: dict[str, Any], told: str
) -> None:
    found = push(space, space.manifest(2), blessings(**changes))
    assert (found.pushed, found.in_service) == (False, 1)
    (check,) = found.findings.checks
    assert check.outcome is Outcome.FAIL
    assert "version 1 stays in service" in check.figure
    assert told in check.detail
    assert manifest_in_service(space).version == 1
    assert not (space.pushed_folder() / "2").exists()


def test_a_file_that_is_not_the_manifest_s_is_not_pushed(space: Workspace) -> None:
    (space.version_folder(2) / "tensorflow/saved_model/saved_model.pb").write_text("another")
    with pytest.raises(ArtifactCorrupt, match="SavedModel is corrupt"):
        push(space, space.manifest(2), blessings())
    assert manifest_in_service(space).version == 1
    assert {path.name for path in space.pushed_folder().iterdir()} == {"1", "current"}


class Lineage:
    """In place of MLMD, which has nothing to say here."""

    def __init__(self, error: Exception | None = None) -> None:
        self._error = error

    def __call__(self, *_: object) -> dict[str, Any]:
        if self._error:
            raise self._error
        return {"new": False, "artifact": 1}


FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
WRITES = {
    "TF Serving's files": "serving.tfserving.repository.publish",
    "TorchServe's files": "serving.torchserve.repository.publish",
    "the record": "pathlib.Path.write_text",
    "the lineage": "pipelines.tfx.lineage.record_push",
    "the pointer": "pathlib.Path.symlink_to",
}


@pytest.mark.parametrize("write", WRITES)
def test_a_disk_that_is_full_leaves_nothing_half_pushed(
    space: Workspace, monkeypatch: pytest.MonkeyPatch, write: str
) -> None:
    def full(*_: object, **__: object) -> None:
        raise FULL

    before = {path.name for path in space.pushed_folder().iterdir()}
    with monkeypatch.context() as patch:
        patch.setattr("pipelines.tfx.lineage.record_push", Lineage())
        error = StorageError("the lineage cannot be written: No space left on device.", "")
        patch.setattr(WRITES[write], Lineage(error) if write == "the lineage" else full)
        with pytest.raises(StorageError, match="No space left"):
            push(space, space.manifest(2), blessings())
    assert manifest_in_service(space).version == 1
    assert {path.name for path in space.pushed_folder().iterdir()} == before
    monkeypatch.setattr("pipelines.tfx.lineage.record_push", Lineage())
    assert push(space, space.manifest(2), blessings()).pushed, "with space again"
    assert manifest_in_service(space).version == 2


def test_an_earlier_push_outlives_one_that_fails(
    space: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(space, 2)
    put(space, 1)
    monkeypatch.setattr("pipelines.tfx.lineage.record_push", Lineage(StorageError("full")))
    with pytest.raises(StorageError):
        push(space, space.manifest(2), blessings())
    assert find_push(space.pushed_folder(), 2) is not None
    assert manifest_in_service(space).version == 1


def made_anew(space: Workspace, number: int) -> None:
    """The same number, given to another model."""
    folder = space.version_folder(number)
    file = folder / "tensorflow/saved_model/saved_model.pb"
    file.unlink()
    file.write_text("another model")
    manifest = space.manifest(number)
    again = [
        Artifact.of(each.framework, each.format, folder, each.path) for each in manifest.artifacts
    ]
    replace(manifest, artifacts=tuple(again)).write(folder)


@pytest.mark.parametrize("in_service", [1, 2])
def test_a_number_that_was_pushed_is_not_taken_for_other_models(
    space: Workspace, in_service: int
) -> None:
    put(space, 2)
    put(space, in_service)
    made_anew(space, 1)
    pushed = space.pushed_folder() / "1/models" / CASE / "1/saved_model.pb"
    before = pushed.read_text()
    with pytest.raises(ArtifactCorrupt, match="pushed with other files") as refused:
        push(space, space.manifest(1), blessings())
    assert "FRESH=1" in refused.value.hint
    assert pushed.read_text() == before
    model = model_in_service(space)
    assert model and model.version == in_service


@pytest.mark.parametrize("number", [1, 2])
def test_a_push_that_was_damaged_is_laid_out_anew(
    space: Workspace, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr("pipelines.tfx.lineage.record_push", Lineage())
    assert push(space, space.manifest(2), blessings()).pushed
    put(space, 1)
    file = space.pushed_folder() / str(number) / "models" / CASE / str(number) / "saved_model.pb"
    file.unlink()
    assert manifest_in_service(space).version == 1, "its own folder is whole"
    assert push(space, space.manifest(number), blessings()).pushed
    assert file.read_text() == f"graph {number}"


def test_a_push_whose_record_is_lost_can_be_made_again(
    space: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.tfx.lineage.record_push", Lineage())
    (space.pushed_folder() / "1/push.json").write_text("{")
    (space.pushed_folder() / "current").unlink()  # as the message says
    assert push(space, space.manifest(1), blessings()).pushed
    assert manifest_in_service(space).version == 1


def test_what_is_interrupted_is_no_push(space: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pipelines.tfx.lineage.record_push", interrupted)
    with pytest.raises(KeyboardInterrupt):
        push(space, space.manifest(2), blessings())
    assert find_push(space.pushed_folder(), 2) is None


def test_what_is_in_service_is_not_served_from_other_files(space: Workspace) -> None:
    made_anew(space, 1)
    for asked in (manifest_in_service, lambda space: manifest_to_serve(space, None)):
        with pytest.raises(ArtifactCorrupt, match="pushed with other files"):
            asked(space)


def test_a_push_whose_pointer_fails_is_taken_back_from_the_lineage(
    space: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[Any] = []

    def full(*_: object) -> None:
        raise StorageError("full")

    monkeypatch.setattr(
        "pipelines.tfx.lineage.record_push", lambda *_: {"new": True, "artifact": 31}
    )
    monkeypatch.setattr("pipelines.tfx.lineage.call_tfx", lambda *asked: taken.append(asked[1:]))
    monkeypatch.setattr("pipelines.push.put_in_service", full)
    with pytest.raises(StorageError):
        push(space, space.manifest(2), blessings())
    assert taken == [("take_back", {"artifact": 31})]
    assert find_push(space.pushed_folder(), 2) is None


def test_a_version_whose_run_left_no_blessing_is_not_pushed(space: Workspace) -> None:
    with pytest.raises(NotBlessed, match="none means no"):
        push_alone(space, space.manifest(2))
    assert manifest_in_service(space).version == 1


def test_what_is_served_is_what_was_pushed_unless_another_is_named(space: Workspace) -> None:
    assert manifest_to_serve(space, None).version == 1
    assert manifest_to_serve(space, 3).version == 3
    (space.pushed_folder() / "current").unlink()
    assert manifest_to_serve(space, None).version == 3, "where nothing was pushed, the latest"
    with pytest.raises(ArtifactMissing, match="none is in service"):
        manifest_in_service(space)


def test_a_candidate_is_held_against_what_is_in_service_and_never_against_itself(
    space: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def against(number: int, space: Workspace = space) -> int | None:
        def folder(_: Workspace, name: str, __: str) -> Path:
            return Path(f"{name}-{number}")

        monkeypatch.setattr(Workspace, "training_folder", folder)
        data = DataFacts(digest="", path="", rows={})
        found = baseline_for(space, data)
        return found.version if found else None

    put(space, 2, replaced=1)
    assert (against(3), against(2)) == (2, 1)
    fresh = replace(space, fresh=True)
    assert against(2, fresh) == 2, "made anew, it is another candidate"
    put(space, 1)
    assert against(1) is None, "the first one replaced nothing"


def test_a_record_that_cannot_be_read_is_named(space: Workspace) -> None:
    (space.pushed_folder() / "1/push.json").write_text("{")
    with pytest.raises(ArtifactCorrupt, match="version 1 cannot be read"):
        model_in_service(space)
