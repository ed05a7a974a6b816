"""Stage: how good the probabilities of both trained networks are, with the case's baseline beside them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np

from models.arrays import read_arrays, write_arrays
from models.artifact import whole_folder
from models.case import BASELINE, Quality, case_function
from models.dataset import Dataset, StoredDataset
from models.framework import TITLES, FrameworkName
from models.quality import score_probabilities
from models.verbs import read_reference
from pipelines.facts import Check, DataFacts, Findings, Outcome, QualityFacts, TrainingFacts
from pipelines.workspace import Workspace, log

SCORES = "scores.npz"


def score_baseline(space: Workspace, data: DataFacts) -> str:
    """Have the case's baseline answer the test split; it needs the rows, and no network.

    Returns:
        the folder of its answers; empty where the case has none.
    """
    if space.case.quality is None:
        return ""
    folder = space.baseline_folder(data.digest)
    if not space.is_complete(folder):
        began = time.perf_counter()
        score = case_function(space.case.name, BASELINE.removesuffix(".py"), "score")
        # A baseline has all rows in memory, as trees need them; they are gone when it is done.
        probabilities = score(Dataset.read(Path(data.path)), space.case.training.seed)
        seconds = np.array(time.perf_counter() - began)
        with whole_folder(folder) as partial:
            write_arrays(partial / SCORES, {"probabilities": probabilities, "seconds": seconds})
    return str(folder)


def judge_quality(
    space: Workspace, data: DataFacts, scored: str, *trainings: TrainingFacts
) -> Findings:
    """Score both networks and the baseline on the whole test split; each network must keep up with the baseline.

    Args:
        space: the case.
        data: its splits.
        scored: what ``score_baseline`` returned.
        trainings: of both frameworks.

    Returns:
        nothing where the case asks nothing of its probabilities.

    Raises:
        CaseError: the baseline does not answer every row with a probability, or the rows are of one class.
    """
    wanted = space.case.quality
    if wanted is None:
        return Findings()
    labels = StoredDataset.open(Path(data.path)).test.labels()
    positive = labels == space.case.contract.labels.index(wanted.positive)
    stored: Mapping[str, np.ndarray] = read_arrays(Path(scored) / SCORES)
    seconds = float(stored["seconds"])
    baseline = _facts(wanted.baseline, None, stored["probabilities"], positive, seconds)
    networks = [
        _facts(
            TITLES[facts.framework],
            facts.framework,
            _probabilities(space, data, facts.framework, wanted),
            positive,
            sum(epoch.seconds for epoch in facts.epochs),
        )
        for facts in trainings
    ]
    found = [*networks, baseline]
    log.info("ROC AUC: " + ", ".join(f"{each.subject} {each.roc_auc:.4f}" for each in found))
    return Findings(checks=list(_checks(networks, baseline, wanted)), quality=found)


def _probabilities(
    space: Workspace, data: DataFacts, framework: FrameworkName, wanted: Quality
) -> np.ndarray:
    contract = space.case.contract
    whole = read_reference(space.training_folder(framework, data.basis), "whole")
    column: np.ndarray = whole[contract.scores][:, contract.labels.index(wanted.positive)]
    return column


def _facts(
    subject: str,
    framework: FrameworkName | None,
    probabilities: np.ndarray,
    positive: np.ndarray,
    seconds: float,
) -> QualityFacts:
    scores = asdict(score_probabilities(probabilities, positive))
    return QualityFacts(subject=subject, framework=framework, seconds=seconds, **scores)


def _checks(
    networks: Iterable[QualityFacts], baseline: QualityFacts, wanted: Quality
) -> Iterable[Check]:
    least = baseline.roc_auc - wanted.max_auc_loss
    for facts in networks:
        yield Check(
            stage="quality",
            subject=facts.subject,
            question=f"Ranks as well as {baseline.subject}",
            outcome=Outcome.PASS if facts.roc_auc >= least else Outcome.FAIL,
            figure=f"ROC AUC {facts.roc_auc:.4f}",
            limit=f"≥ {baseline.roc_auc:.4f} - {wanted.max_auc_loss:g}",
        )
