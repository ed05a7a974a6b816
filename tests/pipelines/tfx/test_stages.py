"""The flow's stages of TFX, on made-up rows: what they keep, what they refuse, where a version came from."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from models.arrays import write_arrays
from models.artifact import Artifact, Manifest
from models.dataset import Dataset, Split
from models.errors import DataAnomaly, NotBlessed
from models.framework import FRAMEWORKS
from models.verbs import REFERENCE
from pipelines.facts import (
    Blessings,
    DataFacts,
    EvaluationFacts,
    Findings,
    InfraFacts,
    Outcome,
    PushRecord,
    TrainingFacts,
    ValidationFacts,
)
from pipelines.in_service import InService
from pipelines.push import push
from pipelines.settings import Settings
from pipelines.tfx import evaluation
from pipelines.tfx.evaluation import evaluate_slices, scores_in_training
from pipelines.tfx.lineage import DEPLOYED, read_lineage, record_infra, record_push
from pipelines.tfx.validation import tfx_findings, validate_data
from pipelines.workspace import Workspace
from serving.pushed import Pushed
from tests.pipelines.tfx.conftest import Table, month_of_flights

pytestmark = [pytest.mark.tfx, pytest.mark.timeout(280)]

MONTHS = {"train": (1, 2), "validation": (3,), "test": (4,)}
ROWS = 600


def split_of(tables: list[Table]) -> Split:
    whole = {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}
    labels = whole.pop("late")
    return Split(whole, labels)


def facts_of(space: Workspace, spoil: int | None = None) -> DataFacts:
    """Rows of four months on the disk; a carrier that nobody knows in one of them."""
    tables = {month: month_of_flights(month, ROWS) for month in range(1, 5)}
    if spoil is not None:
        tables[spoil]["carrier"][: ROWS // 10] = "ZZ"
    dataset = Dataset(
        **{name: split_of([tables[month] for month in months]) for name, months in MONTHS.items()}
    )
    path = space.home / f"rows-{spoil}.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        dataset.write(path)
    rows = {name: len(getattr(dataset, name)) for name in Dataset.SPLITS}
    return DataFacts(digest=dataset.digest(), path=str(path), rows=rows)


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    home = tmp_path_factory.mktemp("flights")
    return Workspace.open("flights", Settings(artifacts=home / "artifacts", state=home / "state"))


def answer(space: Workspace, data: DataFacts, good: bool) -> list[TrainingFacts]:
    """Models in name only: answers that know the label, or know nothing."""
    test = Dataset.read_split(Path(data.path), "test")
    random = np.random.default_rng(1)
    late = np.clip(0.25 + 0.2 * (test.labels - 0.25) + random.normal(0, 0.1, ROWS), 0.01, 0.99)
    for name in FRAMEWORKS:
        knows = good or name == "tensorflow"
        scores = late if knows else random.permutation(late)
        folder = space.training_folder(name, data.basis)
        folder.mkdir(parents=True, exist_ok=True)
        both = np.stack([1 - scores, scores], axis=1).astype(np.float32)
        write_arrays(folder / REFERENCE, {"whole/probabilities": both})
    return [
        TrainingFacts(
            framework=name,
            label=name,
            epochs=[],
            parameters=1,
            rows_per_second=1,
            test_accuracy=0.8,
            confusion=[],
            cached=False,
            input_digest="",
        )
        for name in FRAMEWORKS
    ]


def manifest_of(space: Workspace, version: int, data: DataFacts) -> Manifest:
    artifacts = tuple(
        Artifact(name, form, f"{name}/model", 1, str(number) * 64)
        for number, (name, form) in enumerate(DEPLOYED.items())
    )
    return Manifest(
        case=space.case.name,
        version=version,
        created=datetime(2026, 1, 2, tzinfo=UTC).isoformat(),
        git_commit="unknown",
        seed=7,
        hyperparameters={},
        data_digest="",
        input_digest="",
        framework_versions={},
        data="",
        training={name: space.training_folder(name, data.basis).name for name in FRAMEWORKS},
        artifacts=artifacts,
    )


def blessings_of(
    space: Workspace, validated: ValidationFacts, evaluated: EvaluationFacts
) -> Blessings:
    """With both servers' infra blessings, as if they had been started."""
    servers = {"tfserving": "tensorflow", "torchserve": "pytorch"}
    found = {"where": "process", "blessed": True, "rows": 1000, "max_abs": 0.0}
    models = {
        name: {"path": str(space.version_folder(1) / f"{name}/model"), "sha256": str(number) * 64}
        for number, name in enumerate(DEPLOYED)
    }
    facts = {
        server: {**found, "label": server, "framework": name, "model": models[name]}
        for server, name in servers.items()
    }
    infra = InfraFacts(blessings=record_infra(space, facts), findings=Findings())
    return Blessings(validated=validated, evaluated=evaluated, infra=infra)


def test_from_rows_to_a_lineage(space: Workspace) -> None:
    data = facts_of(space)
    validated = validate_data(space, data)
    assert Path(validated.constants).is_file()
    assert validated.numbers == [1, 2, 3, 4]
    assert validated.findings.checks[0].outcome is Outcome.PASS
    statistics = validated.findings.statistics
    assert statistics
    assert [(split.name, split.rows) for split in statistics.splits] == [
        ("train", 2 * ROWS), ("validation", ROWS), ("test", ROWS),
    ]  # fmt: skip
    gusts = next(each for each in statistics.features if each.name == "wind_gust")
    for column in gusts.columns:
        assert sum(column.shares) + column.missing == pytest.approx(1, abs=1e-4)
    assert {each.feature for each in statistics.drift} >= {"temp", "carrier"}
    assert "month" not in {each.feature for each in statistics.drift}
    trainings = answer(space, data, good=True)
    evaluated = evaluate_slices(space, data, None, *trainings)
    assert set(evaluated.blessings) == set(FRAMEWORKS)
    assert [check.outcome for check in evaluated.findings.checks] == [Outcome.PASS] * 3
    assert len(tfx_findings(space, validated, evaluated).checks) == 5
    assert evaluated.compared_with is None
    assert "a first version" in evaluated.findings.checks[-1].figure
    record_push(space, manifest_of(space, 1, data), blessings_of(space, validated, evaluated))
    tree = str(read_lineage(space, 1))
    for word in (
        "ModelBlessing",
        "InfraBlessing",
        "InfraValidation",
        "PredictionsEvaluator",
        "TransformGraph",
        "CsvExampleGen",
    ):
        assert word in tree
    assert tree.count("TwinServeSpan") == 4


def test_a_model_worse_than_the_one_in_service_is_named_and_not_pushed(
    space: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = facts_of(space)
    validated = validate_data(space, data)
    answer(space, data, good=True)
    knowing = [
        scores_in_training(space, space.training_folder(name, data.basis)) for name in FRAMEWORKS
    ]
    asked = dict(zip(FRAMEWORKS, ([scores] for scores in knowing), strict=True))
    monkeypatch.setattr(evaluation, "scores_of", lambda *_: asked)
    trainings = answer(space, data, good=False)
    evaluated = evaluate_slices(space, data, service(space), *trainings)
    keras, pytorch, compared = evaluated.findings.checks
    assert (keras.outcome, pytorch.outcome) == (Outcome.PASS, Outcome.FAIL)
    assert "all rows: roc_auc" in pytorch.detail
    assert "at most 0.01 worse than the model in service" in pytorch.detail
    assert evaluated.compared_with == 7
    assert "version 7: Keras ROC AUC" in compared.figure
    assert set(evaluated.blessings) == {"tensorflow"}
    blessings = blessings_of(space, validated, evaluated)
    with pytest.raises(NotBlessed, match="pytorch"):
        record_push(space, manifest_of(space, 2, data), blessings)
    refused = push(space, manifest_of(space, 2, data), blessings)
    assert not refused.pushed
    assert "roc_auc" in refused.findings.checks[0].detail
    assert not space.pushed_folder().exists()


def service(space: Workspace) -> InService:
    """Version 7, in name only: its answers are put in the test's place of them."""
    record = PushRecord(
        case=space.case.name,
        version=7,
        pushed=datetime(2026, 1, 2, tzinfo=UTC),
        replaced=None,
        training={name: f"{name}-7" for name in FRAMEWORKS},
        trained_on=[1],
        evaluation_blessings={},
        infra_blessings={},
    )
    return InService(Pushed(7, space.home), record)


def test_rows_that_the_schema_does_not_know_end_the_run(space: Workspace) -> None:
    data = facts_of(space, spoil=3)
    with pytest.raises(DataAnomaly, match="span 3, carrier") as refused:
        validate_data(space, data)
    assert "ZZ" in refused.value.message
    assert not space.validation_folder(data.digest).exists()


def test_a_case_with_spans_says_that_it_went_without_tfx(space: Workspace) -> None:
    (check,) = tfx_findings(space, None, None).checks
    assert check.outcome is Outcome.WARNING
    assert "TFX is off" in check.figure
