"""Stage: train both frameworks from the same initial weights on the same batches, and prove it."""

from __future__ import annotations

from pathlib import Path

from models.arrays import read_arrays
from models.artifact import digest_of
from models.errors import ChecksFailed
from models.framework import FRAMEWORKS, TITLES, FrameworkName
from models.parity import compare
from models.verbs import BEFORE_TRAINING, INITIAL_WEIGHTS
from models.weights import check_same_shapes, read_weights_file
from pipelines.facts import (
    Check,
    DataFacts,
    Epoch,
    Findings,
    InitialFacts,
    Outcome,
    TrainingFacts,
)
from pipelines.judging import parity_check, parity_row
from pipelines.workspace import Workspace, log


def initialise(space: Workspace, framework: FrameworkName, data: DataFacts) -> InitialFacts:
    """Load the shared initial weights into one network and let it answer the test split."""
    folder = space.initial_folder(framework, data.basis)
    result = space.make(framework, "initialise", data.path, folder, constants=data.constants)
    log.info(f"{TITLES[framework]}: {result['parameters']:,} parameters, initial weights loaded")
    return InitialFacts(
        framework=framework,
        path=str(folder),
        input_digest=space.initial_digest(framework, data.basis),
        parameters=result["parameters"],
    )


def agree_before_training(
    space: Workspace, tensorflow: InitialFacts, pytorch: InitialFacts
) -> Findings:
    """Both networks must hold the same weights and give the same logits before anything is trained.

    Raises:
        ContractMismatch: their weights have other names or shapes.
        ChecksFailed: they are not the same network.
    """
    paths = [Path(facts.path) for facts in (tensorflow, pytorch)]
    shapes = [
        {name: array.shape for name, array in read_weights_file(path / INITIAL_WEIGHTS).items()}
        for path in paths
    ]
    check_same_shapes(shapes[0], shapes[1], "the Keras network", "the PyTorch network")
    digests = [digest_of(path / INITIAL_WEIGHTS) for path in paths]
    answers = [read_arrays(path / BEFORE_TRAINING) for path in paths]
    tolerance = space.case.tolerances.before_training
    parity = compare(space.case.contract, answers[0], answers[1], tolerance)
    row = parity_row(
        "same model", "PyTorch, before training", "Keras, before training", "all", parity
    )
    weights = Check(
        stage="same model",
        subject="Initial weights",
        question="Both networks start from the same bytes",
        outcome=Outcome.PASS if digests[0] == digests[1] else Outcome.FAIL,
        figure=f"sha256 {digests[0][:12]}",
        limit=f"sha256 {digests[1][:12]}",
    )
    findings = Findings(
        checks=[weights, parity_check(row, "Both networks agree before training")], parity=[row]
    )
    failed = [check for check in findings.checks if check.outcome is Outcome.FAIL]
    if failed:
        raise ChecksFailed(
            "The two networks are not the same model: "
            + "; ".join(f"{check.subject}: {check.figure} ({check.limit})" for check in failed)
            + ".",
            "Compare the case's tensorflow.py and pytorch.py: scaling, layout, order, epsilon, momentum.",
        )
    log.info(f"Same model before training: largest difference {parity.max_abs:.1e}")
    return findings


def train(
    space: Workspace, framework: FrameworkName, data: DataFacts, initial: InitialFacts
) -> TrainingFacts:
    """Train one framework from the initial weights."""
    title, folder = TITLES[framework], space.training_folder(framework, data.basis)

    def on_progress(progress: object) -> None:
        if isinstance(progress, dict) and "epoch" in progress:
            epoch, total = Epoch(**progress["epoch"]), progress["epochs"]
            if epoch.number == total or epoch.number % max(1, total // 5) == 0:
                log.info(
                    f"{title}: epoch {epoch.number}/{total}, loss {epoch.loss:.4f}, "
                    f"validation accuracy {epoch.validation_accuracy:.4f}"
                )

    reused = space.is_complete(folder)
    result = space.make(
        framework,
        "train",
        data.path,
        folder,
        on_progress,
        initial=initial.path,
        constants=data.constants,
    )
    return TrainingFacts(
        framework=framework,
        label=result["label"],
        epochs=[Epoch(**epoch) for epoch in result["epochs"]],
        parameters=result["parameters"],
        rows_per_second=result["rows_per_second"],
        test_accuracy=result["test_accuracy"],
        confusion=result["confusion"],
        input_digest=space.training_digest(framework, data.basis),
        cached=reused,
    )


def judge_accuracy(space: Workspace, trainings: list[TrainingFacts]) -> Findings:
    """Each framework's test accuracy against the case's bound, where it has one."""
    assert {facts.framework for facts in trainings} == set(FRAMEWORKS)
    least = space.case.min_test_accuracy
    if least is None:
        return Findings()
    return Findings(
        checks=[
            Check(
                stage="train",
                subject=TITLES[facts.framework],
                question="Test accuracy is high enough",
                outcome=Outcome.PASS if facts.test_accuracy >= least else Outcome.FAIL,
                figure=f"{facts.test_accuracy:.4f}",
                limit=f"≥ {least}",
            )
            for facts in trainings
        ]
    )
