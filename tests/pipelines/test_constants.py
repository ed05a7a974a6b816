"""The stage that makes the constants of preprocessing, or takes those that somebody else has made."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from models.constants import read_constants
from models.dataset import Dataset, Split
from models.errors import CaseError
from pipelines.constants import prepare_constants
from pipelines.facts import DataFacts
from pipelines.settings import Settings
from pipelines.workspace import Workspace


@pytest.fixture
def space(settings: Settings) -> Workspace:
    return Workspace.open("flights", settings)


@pytest.fixture
def rows(space: Workspace, tmp_path: Path) -> DataFacts:
    """Six rows of each split, all alike."""
    inputs = {spec.name: spec.filled(6, spec.low) for spec in space.case.contract.inputs}
    split = Split({**inputs, "carrier": np.array(["UA"] * 6)}, np.zeros(6, np.int64))
    dataset = Dataset(split, split, split)
    dataset.write(tmp_path / "dataset")
    return DataFacts(digest=dataset.digest(), path=str(tmp_path / "dataset"), rows={"train": 6})


def test_numpys_are_made_once_and_are_part_of_what_networks_are_made_from(space, rows):
    found = prepare_constants(space, rows)
    constants = read_constants(Path(found.constants), space.case.contract)
    assert constants["categorical"]["carrier"]["vocabulary"] == ["UA"]
    assert constants["data_digest"] == rows.digest
    assert found.basis not in (rows.digest, found.constants_digest)
    written = Path(found.constants).stat().st_mtime_ns
    assert prepare_constants(space, rows) == found
    assert Path(found.constants).stat().st_mtime_ns == written


@pytest.mark.parametrize("how", ["argument", "setting"])
def test_those_of_somebody_else_are_taken_as_they_are(space, rows, tmp_path, how):
    numpys = prepare_constants(space, rows)
    theirs = json.loads(Path(numpys.constants).read_text()) | {"source": "somebody else"}
    path = tmp_path / "theirs.json"
    path.write_text(json.dumps(theirs))
    if how == "setting":
        settings = space.settings.model_copy(update={"constants": path})
        found = prepare_constants(Workspace(space.case, settings), rows)
    else:
        found = prepare_constants(space, rows, path)
    assert Path(found.constants).read_bytes() == path.read_bytes()
    assert found.basis != numpys.basis


def test_those_that_lack_a_column_are_refused_and_leave_nothing(space, rows, tmp_path):
    path = tmp_path / "theirs.json"
    path.write_text('{"format": 1, "numeric": {}, "categorical": {}}')
    with pytest.raises(CaseError, match="no constants for month"):
        prepare_constants(space, rows, path)
    assert list(space.home.glob("constants/*")) == []


def test_a_case_without_any_keeps_its_digest(settings, rows):
    digits = Workspace.open("digits", settings)
    assert prepare_constants(digits, rows) == rows
    assert rows.basis == rows.digest
