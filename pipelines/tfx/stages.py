"""Stages: TFX validates the rows and computes the constants; TFMA judges both models, slice by slice; MLMD keeps
where a version came from.

They are called in our environment, and call ``pipelines.tfx.worker``, which is TFX's. A case takes part that has a
``span`` and a ``schema.pbtxt``.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from models.arrays import write_arrays
from models.artifact import Manifest, whole_folder, write_text
from models.case import SCHEMA, case_folder, case_function
from models.dataset import Dataset, Split
from models.framework import FRAMEWORKS, TITLES, FrameworkName
from models.verbs import read_reference
from pipelines.facts import (
    Check,
    DataFacts,
    EvaluationFacts,
    Findings,
    Outcome,
    TrainingFacts,
    ValidationFacts,
)
from pipelines.tfx.slices import slices_of
from pipelines.tfx.spans import write_span
from pipelines.tfx.statistics import shared_histograms, statistics_of
from pipelines.tfx.worker import call
from pipelines.workspace import Workspace, log

CONSTANTS = Path("constants", "constants.json")
VALIDATION = "validation.json"
HISTOGRAMS = "histograms.json"
EVALUATION = "evaluation.json"
SPANS = "spans"


def validate_data(space: Workspace, data: DataFacts) -> ValidationFacts:
    """Hold every span of the rows against the schema, and compute the constants over the train split's spans.

    Raises:
        DataAnomaly: the rows are not as the schema says; each anomaly is named, and nothing is kept.
        SpanError, SchemaError: a span or the schema cannot be read.
        EnvironmentMissing: TFX cannot be installed.
        WorkerError: its process crashed, or took too long.
    """
    folder = space.validation_folder(data.digest)
    if not space.is_complete(folder):
        with whole_folder(folder) as partial:
            dataset = Dataset.read(Path(data.path))
            write_text(partial / HISTOGRAMS, json.dumps(shared_histograms(dataset)))
            splits = _write_spans(space, dataset, partial / SPANS)
            _call(
                space,
                "prepare",
                {
                    "spans": str(partial / SPANS),
                    "splits": splits,
                    "schema": str(case_folder(space.case.name) / SCHEMA),
                    "label": space.case.label_column,
                    "out": str(partial),
                },
            )
    found = json.loads((folder / VALIDATION).read_text())
    spans = sorted(number for numbers in found["splits"].values() for number in numbers)
    checks = [_validity(found, spans), _drift(found, space.case.span)]
    log.info(f"TFX: {len(spans)} spans as the schema says; {checks[1].figure}")
    return ValidationFacts(
        constants=str(folder / CONSTANTS),
        digest=found["digest"],
        spans=str(folder / SPANS),
        numbers=spans,
        findings=Findings(
            checks=checks,
            statistics=statistics_of(
                space.case, found, json.loads((folder / HISTOGRAMS).read_text())
            ),
        ),
    )


def evaluate_slices(
    space: Workspace, data: DataFacts, *trainings: TrainingFacts
) -> EvaluationFacts:
    """TFMA over the answers of both models to the test split, on all rows and on every slice.

    A framework is blessed that keeps the thresholds everywhere; every slice that does not is named.

    Raises:
        EvaluationError: the answers cannot be used.
        EnvironmentMissing, WorkerError: as ``validate_data``.
    """
    folder = space.evaluation_folder(data.digest, data.basis)
    if not space.is_complete(folder):
        with whole_folder(folder) as partial:
            test = Dataset.read_split(Path(data.path), "test")
            slices: Mapping[str, np.ndarray] = case_function(space.case.name, "data", "slices")(
                test.inputs
            )
            arrays: dict[str, np.ndarray] = {}
            for name in FRAMEWORKS:
                arrays[name] = _scores(space, data, name)
            positive = test.labels == space.case.contract.labels.index(space.case.label_column)
            write_arrays(
                partial / "predictions.npz",
                {**slices, **arrays, space.case.label_column: positive.astype(np.int64)},
            )
            request = {"predictions": str(partial / "predictions.npz"), "slices": list(slices)}
            _call(space, "evaluate", {**request, "out": str(partial)})
    found = json.loads((folder / EVALUATION).read_text())
    models = found["models"]
    checks = [_blessing(facts.framework, found, models[facts.framework]) for facts in trainings]
    for check in checks:
        log.info(f"TFMA: {check.subject} {check.figure}")
    return EvaluationFacts(
        blessings={n: facts["blessing_id"] for n, facts in models.items() if facts["blessed"]},
        findings=Findings(checks=checks, slices=slices_of(found)),
    )


def tfx_findings(
    space: Workspace, validated: ValidationFacts | None, evaluated: EvaluationFacts | None
) -> Findings:
    """What both stages have to say; for a case with spans that goes without TFX, that it did."""
    if validated and evaluated:
        return validated.findings.joined(evaluated.findings)
    if not space.case.span:
        return Findings()
    skipped = Check(
        stage="validate",
        subject="Data",
        question="Every span is as the schema says",
        outcome=Outcome.WARNING,
        figure="not asked: TFX is off",
    )
    return Findings(checks=[skipped])


def record_push(
    space: Workspace, manifest: Manifest, validated: ValidationFacts, evaluated: EvaluationFacts
) -> None:
    """Keep in MLMD which spans, models and blessings a version came from.

    Raises:
        NotBlessed: a framework has no blessing; none means no.
    """
    _call(
        space,
        "push",
        {
            "case": space.case.name,
            "version": manifest.version,
            "path": str(space.version_folder(manifest.version)),
            "data_digest": validated.digest,
            "spans": validated.spans,
            "spans_of_data": validated.numbers,
            "models": {name: _model(space, manifest, name) for name in FRAMEWORKS},
            "blessings": dict(evaluated.blessings),
        },
    )


def read_lineage(space: Workspace, version: int) -> dict[str, Any]:
    """Where a version came from: a tree, as ``docs/tfx.md`` has it.

    Raises:
        ArtifactMissing: that version was never pushed.
    """
    return _call(space, "lineage", {"case": space.case.name, "version": version})


def _call(space: Workspace, verb: str, request: Mapping[str, Any]) -> dict[str, Any]:
    settings = space.settings
    beam = {
        "beam_runner": settings.beam_runner,
        "beam_options": shlex.split(settings.beam_options),
    }
    return call(
        verb,
        {"state": str(space.home / "tfx"), **beam, **request},
        timeout_seconds=settings.worker_timeout_seconds,
        on_progress=lambda progress: log.info(f"TFX: {progress.get('message', progress)}"),
    )


def _write_spans(space: Workspace, dataset: Dataset, home: Path) -> dict[str, list[int]]:
    """One folder a span; returns the spans of each split."""
    splits: dict[str, list[int]] = {}
    for name in Dataset.SPLITS:
        split: Split = getattr(dataset, name)
        numbers = split.inputs[space.case.span]
        splits[name] = [int(number) for number in np.unique(numbers)]
        for number in splits[name]:
            rows = split.rows(np.flatnonzero(numbers == number))
            labels = rows.labels == space.case.contract.labels.index(space.case.label_column)
            table = {**rows.inputs, space.case.label_column: labels.astype(np.int64)}
            write_span(home, number, table)
    return splits


def _scores(space: Workspace, data: DataFacts, framework: FrameworkName) -> np.ndarray:
    contract = space.case.contract
    whole = read_reference(space.training_folder(framework, data.basis), "whole")
    place = contract.labels.index(space.case.label_column)
    scores: np.ndarray = whole[contract.scores][:, place].astype(np.float64)
    return scores


def _model(space: Workspace, manifest: Manifest, framework: FrameworkName) -> dict[str, str]:
    artifact = next(each for each in manifest.artifacts if each.framework == framework)
    path = space.version_folder(manifest.version) / artifact.path
    return {"path": str(path), "sha256": artifact.sha256}


def _validity(found: Mapping[str, Any], spans: list[int]) -> Check:
    rows = sum(found["rows"].values())
    return Check(
        stage="validate",
        subject="Data",
        question="Every span is as the schema says",
        outcome=Outcome.PASS,  # anomalies have ended the run
        figure=f"0 anomalies in {rows:,} rows of {len(spans)} spans",
        limit="0 anomalies",
    )


def _drift(found: Mapping[str, Any], span: str) -> Check:
    """Drift is a reason to retrain, and none to stop; that the span's own number changes is none."""
    drift = [each for each in found["drift"] if each["feature"] != span]
    beyond = [each for each in drift if each["exceeded"]]
    worst = max(drift, key=lambda each: each["score"] / each["threshold"], default=None)
    figure = "no two spans to compare"
    if worst:
        figure = f"{worst['feature']} {worst['score']:.3f} in span {worst['span']}"
    return Check(
        stage="validate",
        subject="Data",
        question="No feature has drifted from span to span",
        outcome=Outcome.WARNING if beyond else Outcome.PASS,
        figure=figure,
        limit=f"≤ {worst['threshold']:g}" if worst else "",
        detail="; ".join(
            f"{each['feature']} in span {each['span']}: {each['score']:.3f} > {each['threshold']:g}"
            for each in beyond
        ),
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
        detail="; ".join(
            f"{each['slice'] or 'all rows'}: {each['metric']} {each['value']:.3f}, {each['threshold']}"
            for each in facts["failures"]
        ),
    )
