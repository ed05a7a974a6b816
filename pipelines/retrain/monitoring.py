"""Stages: a new span against the schema, against the rows that the model in service knows, and its own answers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from scipy.spatial.distance import jensenshannon

from models.arrays import read_arrays, write_arrays
from models.artifact import digest_of_parts, whole_folder, write_text
from models.dataset import StoredDataset
from models.framework import FRAMEWORKS, TITLES, FrameworkName
from models.quality import score_probabilities
from pipelines.conclude import recall
from pipelines.facts import Blessings, DataFacts
from pipelines.in_service import InService, scores_of
from pipelines.retrain.facts import Line, PerformanceFacts, PredictionDrift
from pipelines.tfx.evaluation import scores_in_training
from pipelines.tfx.facts import DriftFacts
from pipelines.tfx.validation import monitor_span
from pipelines.workspace import DIGEST_LENGTH, Workspace, log

BINS = 20
"""Of the histograms of probabilities, all equally wide."""

Scores = Mapping[FrameworkName, np.ndarray]


def watch_features(space: Workspace, rows: DataFacts, service: InService) -> list[DriftFacts]:
    """Validate a new span, and measure each column's distance from the model's own training rows: of the features,
    and of the label.

    Raises:
        DataAnomaly, SpanError, SchemaError: the rows cannot be used; nothing is trained and nothing pushed.
    """
    statistics = recall(space, service.version, "blessings", Blessings).validated.statistics
    digest = space.validation_digest(digest_of_parts(rows.digest, statistics))
    folder = space.home / "monitoring" / digest[:DIGEST_LENGTH]
    if not (folder / "drift.json").exists():
        found = monitor_span(space, rows, statistics, folder / "arrived")
        write_text(folder / "drift.json", json.dumps(found, indent=2) + "\n")
    drift = json.loads((folder / "drift.json").read_text())
    return [DriftFacts(**each) for each in drift]


def watch_answers(
    space: Workspace, rows: DataFacts, versions: Mapping[Line, InService]
) -> dict[Line, dict[FrameworkName, np.ndarray]]:
    """What pushed models say of a new span, each opened from the very files that were pushed.

    Returns:
        by line and framework, probabilities of the label that is scored: float64 (N,).
    """
    models = {each.version: each for each in versions.values()}
    digest = digest_of_parts(rows.digest, *(each.key for each in models.values()))
    folder = space.home / "monitoring" / f"answers-{digest[:DIGEST_LENGTH]}"
    if not folder.exists():
        with whole_folder(folder) as partial:
            asked = scores_of(space, list(models.values()), rows, "test", partial / "asked")
            arrays = {
                f"{number}/{name}": scores
                for name, all_scores in asked.items()
                for number, scores in zip(models, all_scores, strict=True)
            }
            write_arrays(partial / "scores.npz", arrays)
    stored = read_arrays(folder / "scores.npz")
    return {
        line: {name: stored[f"{each.version}/{name}"] for name in FRAMEWORKS}
        for line, each in versions.items()
    }


def performance(
    space: Workspace, rows: DataFacts, line: Line, version: int, scores: Scores
) -> list[PerformanceFacts]:
    """How good a model is on all rows of the new span."""
    labels = StoredDataset.open(Path(rows.path)).test.labels()
    positive = labels == space.case.contract.labels.index(space.case.label_column)
    found = []
    for name in FRAMEWORKS:
        facts = score_probabilities(scores[name], positive)
        found.append(
            PerformanceFacts(
                line=line,
                version=version,
                framework=name,
                roc_auc=facts.roc_auc,
                log_loss=facts.log_loss,
            )
        )
    log.info(
        f"{line.capitalize()}, version {version}: ROC AUC "
        + ", ".join(f"{TITLES[each.framework]} {each.roc_auc:.4f}" for each in found)
    )
    return found


def answers_when_blessed(space: Workspace, service: InService) -> dict[FrameworkName, np.ndarray]:
    """What the model in service said of the span that it was blessed on.

    Raises:
        ArtifactMissing, ArtifactCorrupt: its training is gone.
    """
    return {
        name: scores_in_training(space, space.home / "training" / service.record.training[name])
        for name in FRAMEWORKS
    }


def prediction_drift(before: Scores, now: Scores) -> list[PredictionDrift]:
    """Jensen-Shannon divergence of the two histograms of probabilities, base 2, as TFDV has it for features."""
    return [
        PredictionDrift(framework=name, score=divergence(before[name], now[name]))
        for name in FRAMEWORKS
    ]


def divergence(one: np.ndarray, other: np.ndarray) -> float:
    """Of two sets of probabilities, float (N,) and (M,): 0 (alike) to 1 (nothing in common).

    scipy gives the distance, which is the square root of the divergence (Lin 1991).
    """
    edges = np.linspace(0, 1, BINS + 1)
    histograms = [np.histogram(each, edges)[0] for each in (one, other)]
    return float(jensenshannon(*histograms, base=2)) ** 2
