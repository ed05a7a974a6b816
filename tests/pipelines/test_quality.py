"""Both networks beside the baseline: who keeps up, and who does not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.arrays import write_arrays
from models.dataset import Dataset, Split
from models.framework import FRAMEWORKS
from models.verbs import REFERENCE
from pipelines.facts import DataFacts, Epoch, Outcome, TrainingFacts
from pipelines.quality import judge_quality, score_baseline
from pipelines.workspace import Workspace

ROWS = 400
BASELINE = """
import numpy as np

def score(dataset, seed):
    return np.random.default_rng(seed).random(len(dataset.test)) * 0.6 + dataset.test.labels * 0.3
"""
CASE = """
from models.case import Case, Quality
from models.contract import Contract, TensorSpec

CASE = Case(
    name="scored",
    title="A test",
    contract=Contract(
        inputs=(TensorSpec("x", "float32", ()),),
        outputs=(TensorSpec("scores", "float32", (2,)),),
        labels=("no", "yes"),
        scores="scores",
        logits="scores",
    ),
    min_test_accuracy=None,
    quality=Quality("yes", max_auc_loss=0.01, baseline="a guess"),
)
"""


@pytest.fixture
def space(write_case, settings) -> Workspace:
    texts = {"case.py": CASE, "baseline.py": BASELINE, "data.py": "", "tensorflow.py": ""}
    home = write_case("scored", {**texts, "pytorch.py": ""})
    return Workspace.open("scored", settings.model_copy(update={"cases_path": str(home)}))


@pytest.fixture
def rows(space, tmp_path) -> DataFacts:
    labels = np.arange(ROWS) % 4 == 0
    split = Split({"x": np.zeros(ROWS, np.float32)}, labels.astype(np.int64))
    Dataset(split, split, split).write(tmp_path / "d.npz")
    return DataFacts(digest="d" * 64, path=str(tmp_path / "d.npz"), rows={"test": ROWS})


def trained(space: Workspace, rows: DataFacts, framework, sharpness: float) -> TrainingFacts:
    """A training whose answers are right by so much."""
    labels = Dataset.read_split(Path(rows.path), "test").labels
    yes = np.random.default_rng(5).random(ROWS) * (1 - sharpness) + labels * sharpness
    folder = space.training_folder(framework, rows.basis)
    folder.mkdir(parents=True)
    write_arrays(folder / REFERENCE, {"whole/scores": np.stack([1 - yes, yes], axis=1)})
    epoch = Epoch(
        number=1, loss=1, accuracy=1, validation_loss=1, validation_accuracy=1, seconds=2.5
    )
    return TrainingFacts(
        framework=framework,
        label=framework,
        epochs=[epoch],
        parameters=1,
        rows_per_second=1,
        test_accuracy=1,
        confusion=[[1]],
        input_digest="",
        cached=False,
    )


def test_a_network_that_ranks_worse_than_the_baseline_fails_alone(space, rows):
    sharp, blunt = trained(space, rows, "tensorflow", 0.9), trained(space, rows, "pytorch", 0.01)
    found = judge_quality(space, rows, score_baseline(space, rows), sharp, blunt)
    good, bad = found.checks
    assert (good.subject, good.outcome) == ("Keras", Outcome.PASS)
    assert (bad.subject, bad.outcome) == ("PyTorch", Outcome.FAIL)
    assert bad.question == "Ranks as well as a guess"
    keras, torch, baseline = found.quality
    assert keras.roc_auc == 1.0
    assert torch.roc_auc < baseline.roc_auc - 0.01
    assert (baseline.subject, baseline.framework) == ("a guess", None)
    assert (keras.rows, keras.positives, keras.seconds) == (ROWS, ROWS // 4, 2.5)


def test_the_baseline_is_made_once(space, rows):
    facts = [trained(space, rows, name, 0.9) for name in FRAMEWORKS]
    first = judge_quality(space, rows, score_baseline(space, rows), *facts)
    (stored,) = space.home.glob("baseline/*/scores.npz")
    written = stored.stat().st_mtime_ns
    assert judge_quality(space, rows, score_baseline(space, rows), *facts) == first
    assert stored.stat().st_mtime_ns == written


def test_a_case_that_asks_nothing_gets_nothing(settings, rows):
    digits = Workspace.open("digits", settings)
    assert judge_quality(digits, rows, score_baseline(digits, rows)).quality == []
