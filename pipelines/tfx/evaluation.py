"""Stage: TFMA judges both models on all rows and on every slice, by itself and against the model in service."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from models.arrays import write_arrays
from models.artifact import whole_folder
from models.case import case_function
from models.dataset import Dataset
from models.framework import FRAMEWORKS, TITLES, FrameworkName
from models.verbs import read_reference
from pipelines.facts import Check, DataFacts, EvaluationFacts, Findings, Outcome, TrainingFacts
from pipelines.in_service import InService, scores_of
from pipelines.tfx.calling import call_tfx
from pipelines.tfx.slices import slices_of
from pipelines.workspace import Workspace, log

EVALUATION = "evaluation.json"
THRESHOLDS_OF_A_SPAN = {
    "overall": {
        "roc_auc": {"min": 0.6},
        "log_loss": {"max": 0.69},
        "calibration": {"min": 0.5, "max": 2.0},
    },
    "slices": {"roc_auc": {"min": 0.45}},
    "change": {"roc_auc": {"worse_by_at_most": 0.01}, "log_loss": {"worse_by_at_most": 0.02}},
    "change_slices": {
        "roc_auc": {"worse_by_at_most": 0.02},
        "log_loss": {"worse_by_at_most": 0.03},
    },
}
"""What TFMA asks where a single span is tested on; else what its own configuration says. One month's share of late
flights is anything from 14 to 32 %, and nobody can know it before; and its early hours have few that are late. Of
change it is asked what a year is: the fewer rows, the more of it is chance, and that is added."""
FEWEST_OF_A_SPAN = 500
"""Rows that a slice of a single span needs, instead of TFMA's own least number."""


def evaluate_slices(
    space: Workspace, data: DataFacts, baseline: InService | None, *trainings: TrainingFacts
) -> EvaluationFacts:
    """TFMA over the answers of both models to the test split, on all rows and on every slice.

    A framework is blessed that keeps the thresholds everywhere; every slice that does not is named.

    Args:
        space: the case.
        data: its rows.
        baseline: the model in service, whose answers to the same rows are compared; None for a first version.
        trainings: of both frameworks.

    Raises:
        EvaluationError: the answers cannot be used.
        ArtifactCorrupt: the model in service cannot be opened.
        EnvironmentMissing, WorkerError: as ``validate_data``.
    """
    folder = space.evaluation_folder(data.digest, data.basis, baseline.key if baseline else "")
    if not space.is_complete(folder):
        with whole_folder(folder) as partial:
            test = Dataset.read_split(Path(data.path), "test")
            slices: Mapping[str, np.ndarray] = case_function(space.case.name, "data", "slices")(
                test.inputs
            )
            arrays: dict[str, np.ndarray] = {}
            for name in FRAMEWORKS:
                arrays[name] = scores_in_training(space, space.training_folder(name, data.basis))
            if baseline:
                asked = scores_of(space, [baseline], data, "test", partial / "in-service")
                arrays |= {f"{name}_in_service": scores for name, (scores,) in asked.items()}
            positive = test.labels == space.case.contract.labels.index(space.case.label_column)
            write_arrays(
                partial / "predictions.npz",
                {**slices, **arrays, space.case.label_column: positive.astype(np.int64)},
            )
            request = {
                "predictions": str(partial / "predictions.npz"),
                "label": space.case.label_column,
                "trained": {n: space.training_folder(n, data.basis).name for n in FRAMEWORKS},
                "slices": list(slices),
                "baseline": baseline is not None,
            }
            if space.spans:
                request |= {"thresholds": THRESHOLDS_OF_A_SPAN, "fewest_rows": FEWEST_OF_A_SPAN}
            call_tfx(space, "evaluate", {**request, "out": str(partial)})
    found = json.loads((folder / EVALUATION).read_text())
    models = found["models"]
    checks = [_blessing(facts.framework, found, models[facts.framework]) for facts in trainings]
    checks.append(_comparison(models, baseline))
    for check in checks:
        log.info(f"TFMA: {check.subject} {check.figure}")
    return EvaluationFacts(
        blessings={n: facts["blessing_id"] for n, facts in models.items() if facts["blessed"]},
        compared_with=baseline.version if baseline else None,
        findings=Findings(checks=checks, slices=slices_of(found)),
    )


def scores_in_training(space: Workspace, training: Path) -> np.ndarray:
    """What a trained model in memory said of its whole test split: float64 (N,), the label that is scored.

    Raises:
        ArtifactCorrupt: its answers cannot be read.
    """
    contract = space.case.contract
    whole = read_reference(training, "whole")
    place = contract.labels.index(space.case.label_column)
    scores: np.ndarray = whole[contract.scores][:, place].astype(np.float64)
    return scores


def _comparison(models: Mapping[str, Any], baseline: InService | None) -> Check:
    """That a first version has nothing to be compared with is said, and no fault."""
    figure = "none yet: a first version, held against fixed thresholds only"
    if baseline:
        whole = {name: facts["slices"][0] for name, facts in models.items()}
        figure = f"version {baseline.version}: " + ", ".join(
            f"{TITLES[name]} ROC AUC {each['in_service']['roc_auc']:.4f} in service, "
            f"{each['metrics']['roc_auc']:.4f} now"
            for name, each in ((name, whole[name]) for name in FRAMEWORKS)
        )
    return Check(
        stage="evaluate",
        subject="Model in service",
        question="Both candidates are compared with it, on the same rows",
        outcome=Outcome.PASS,
        figure=figure,
    )


def _blessing(
    framework: FrameworkName, found: Mapping[str, Any], facts: Mapping[str, Any]
) -> Check:
    slices = [each for each in facts["slices"] if each["slice"]]
    worst = min(slices, key=lambda each: each["metrics"]["roc_auc"], default=None)
    least = found["thresholds"].get("slices", {}).get("roc_auc", {}).get("min")
    return Check(
        stage="evaluate",
        subject=TITLES[framework],
        question=f"Blessed by TFMA on all rows and {len(slices)} slices",
        outcome=Outcome.PASS if facts["blessed"] else Outcome.FAIL,
        figure=f"ROC AUC {worst['metrics']['roc_auc']:.3f} at {worst['slice']}, the lowest"
        if worst
        else "no slice of enough rows",
        limit=f"≥ {least:g} in every slice" if least is not None else "",
        detail="; ".join(map(_missed, facts["failures"])),
    )


def _missed(failure: Mapping[str, Any]) -> str:
    """``carrier=UA: roc_auc down by 0.080, at most 0.05 worse than the model in service, noise included``."""
    value = failure["value"]
    figure = "has no value" if value is None else f"{value:.3f}"
    if failure["change"] and value is not None:
        figure = f"{'up' if value > 0 else 'down'} by {abs(value):.3f}"
    return f"{failure['slice'] or 'all rows'}: {failure['metric']} {figure}, {failure['threshold']}"
