"""The data stage: rows in parts, sampled in parts, and what a killed one leaves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from models.artifact import PARTIAL
from models.dataset import SPLITS, Dataset, StoredDataset
from models.errors import ArtifactCorrupt, CaseError
from pipelines.data import prepare_data
from pipelines.settings import PROJECT, Settings
from pipelines.workspace import Workspace

CASE = """
from models.case import Case
from models.contract import Contract, TensorSpec

CASE = Case(
    name="parts",
    title="A test",
    contract=Contract(
        inputs=(TensorSpec("x", "float32", ()),),
        outputs=(TensorSpec("scores", "float32", (2,)),),
        labels=("no", "yes"),
        scores="scores",
        logits="scores",
    ),
    min_test_accuracy=0.5,
)
"""
DATA = """
import os
import signal

import numpy as np

from models.dataset import Split

def load(seed):
    for start in range(0, 300, 100):
        for name in ("train", "validation", "test"):
            x = np.arange(start, start + 100, dtype=np.float32)
            yield name, Split({"x": x}, np.arange(100) % 2)
        if os.environ.get("KILLED") and start == 100:
            os.kill(os.getpid(), signal.SIGKILL)
"""
KILLED = """
from pipelines.data import prepare_data
from pipelines.settings import read_settings
from pipelines.workspace import Workspace

prepare_data(Workspace.open("parts", read_settings()))
"""


@pytest.fixture
def home(write_case) -> Path:
    texts = {"case.py": CASE, "data.py": DATA, "tensorflow.py": "", "pytorch.py": ""}
    home: Path = write_case("parts", texts)
    return home


@pytest.fixture
def space(home: Path, settings: Settings) -> Workspace:
    return Workspace.open("parts", settings.model_copy(update={"cases_path": str(home)}))


def test_a_case_may_yield_its_rows_in_parts(space: Workspace):
    facts = prepare_data(space)
    assert facts.rows == dict.fromkeys(SPLITS, 300)
    read = Dataset.read(Path(facts.path))
    assert read.digest() == facts.digest
    assert read.train.inputs["x"].tolist() == list(range(300))


def test_a_sample_of_parts_is_that_of_the_whole(space: Workspace):
    whole = Dataset.read(Path(prepare_data(space).path))
    settings = space.settings.model_copy(update={"sample": 301})
    sampled = prepare_data(Workspace(space.case, settings))
    assert sampled.digest == whole.sample(301).digest()
    assert sampled.rows == dict.fromkeys(SPLITS, 100)


def test_a_killed_data_stage_leaves_nothing_that_is_taken_for_complete(
    space: Workspace, home: Path
):
    done = subprocess.run(
        [sys.executable, "-c", KILLED],
        cwd=PROJECT,
        env={
            **os.environ,
            "KILLED": "1",
            "TWINSERVE_CASES_PATH": str(home),
            "TWINSERVE_ARTIFACTS": str(space.settings.artifacts),
            "TWINSERVE_STATE": str(space.settings.state),
        },
        capture_output=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    (left,) = (space.home / "data").iterdir()
    assert left.name.startswith(PARTIAL)
    with pytest.raises(ArtifactCorrupt, match="cannot be read as a data set"):
        StoredDataset.open(left / "dataset")
    assert not space.is_complete(space.data_folder())
    assert prepare_data(space).rows == dict.fromkeys(SPLITS, 300)
    assert list((space.home / "data").iterdir()) == [space.data_folder()]


def test_a_part_that_disagrees_with_the_contract_ends_the_stage_and_leaves_nothing(
    space: Workspace, home: Path
):
    data = home / "parts/data.py"
    data.write_text(data.read_text().replace('{"x": x}', '{"x": x.astype(np.float64)}'))
    with pytest.raises(CaseError, match=r"x of the train split is float64\(100,\)"):
        prepare_data(space)
    assert not list((space.home / "data").iterdir())


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("return None", "must return a Dataset or yield its rows in parts"),
        ("yield 'holdout', None", "'holdout' is not one of train, validation, test"),
    ],
)
def test_a_load_that_gives_something_else_is_told(space: Workspace, home: Path, body, told):
    (home / "parts/data.py").write_text(f"def load(seed):\n    {body}\n")
    with pytest.raises(CaseError, match=told):
        prepare_data(space)
