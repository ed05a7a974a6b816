"""Stages: TFX validates the rows and computes the constants; TFMA judges both models, slice by slice; MLMD keeps
where a version came from.

They are called in our environment, and call ``pipelines.tfx.worker``, which is TFX's. A case takes part that has a
``span`` and a ``schema.pbtxt``.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from models.arrays import write_arrays
from models.artifact import Manifest, whole_folder, write_text
from models.case import SCHEMA, case_folder, case_function
from models.dataset import Dataset, Split
from models.formats import Format
from models.framework import FRAMEWORKS, TITLES, FrameworkName
from models.verbs import read_reference
from pipelines.facts import (
    Blessings,
    Check,
    DataFacts,
    EvaluationFacts,
    Findings,
    Outcome,
    TrainingFacts,
    ValidationFacts,
)
from pipelines.in_service import InService, scores_of
from pipelines.tfx.slices import slices_of
from pipelines.tfx.spans import write_span
from pipelines.tfx.statistics import shared_histograms, statistics_of
from pipelines.tfx.worker import call
from pipelines.workspace import Workspace, log

CONSTANTS = Path("constants", "constants.json")
VALIDATION = "validation.json"
HISTOGRAMS = "histograms.json"
EVALUATION = "evaluation.json"
STATISTICS = "train-statistics.pb"
SPANS = "spans"
THRESHOLDS_OF_A_SPAN = {
    "overall": {
        "roc_auc": {"min": 0.6},
        "log_loss": {"max": 0.69},
        "calibration": {"min": 0.5, "max": 2.0},
    },
    "slices": {"roc_auc": {"min": 0.45}},
    "change": {"roc_auc": {"worse_by_at_most": 0.01}, "log_loss": {"worse_by_at_most": 0.02}},
}
"""What TFMA asks where a single span is tested on; else what its own configuration says. One month's share of late
flights is anything from 14 to 32 %, and nobody can know it before; and its early hours have few that are late."""
FEWEST_OF_A_SPAN = 500
"""Rows that a slice of a single span needs, instead of TFMA's own least number."""
DEPLOYED = {"tensorflow": Format.SAVED_MODEL, "pytorch": Format.MAR}
"""By framework: the format that its server reads."""


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
            call_tfx(
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
        trained_on=found["splits"]["train"],
        statistics=str(folder / STATISTICS),
        findings=Findings(
            checks=checks,
            statistics=statistics_of(
                space.case, found, json.loads((folder / HISTOGRAMS).read_text())
            ),
        ),
    )


def monitor_span(
    space: Workspace, span: int, rows: Split, statistics: str, target: Path
) -> list[dict[str, Any]]:
    """Hold a span that has just arrived against the schema, and against the rows that a model was trained on.

    Args:
        space: the case.
        span: its number.
        rows: all of its rows.
        statistics: ``ValidationFacts.statistics`` of the model's rows; empty for none.
        target: a folder for the span's file; it must not be there.

    Returns:
        drift, a feature each: ``feature``, ``measure``, ``score``, ``threshold``, ``exceeded``.

    Raises:
        DataAnomaly: the rows are not as the schema says; each anomaly is named, and nothing is kept.
        SpanError, SchemaError: the span or the schema cannot be read.
        EnvironmentMissing, WorkerError: as ``validate_data``.
    """
    with whole_folder(target) as partial:
        write_span(partial / SPANS, span, table_of(space, [rows]))
        request = {
            "spans": str(partial / SPANS),
            "span": span,
            "statistics": statistics,
            "schema": str(case_folder(space.case.name) / SCHEMA),
            "label": space.case.label_column,
        }
        found = call_tfx(space, "monitor", request)
    return [each for each in found["drift"] if each["feature"] != space.case.span]


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


def record_infra(space: Workspace, servers: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    """Keep in MLMD what starting a candidate in both servers has shown.

    Args:
        space: the case.
        servers: facts by server, as verb ``infra`` takes them.

    Returns:
        the id of each server's InfraBlessing, which says yes or no.
    """
    found = call_tfx(space, "infra", {"servers": servers})["servers"]
    return {name: each["blessing_id"] for name, each in found.items()}


def record_push(space: Workspace, manifest: Manifest, blessings: Blessings) -> None:
    """Keep in MLMD which spans, models and blessings a version came from.

    Raises:
        NotBlessed: a framework or a server has no blessing; none means no.
    """
    validated = blessings.validated
    call_tfx(
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
            "blessings": dict(blessings.evaluated.blessings),
            "infra_blessings": dict(blessings.infra.blessings),
        },
    )


def read_lineage(space: Workspace, version: int) -> dict[str, Any]:
    """Where a version came from: a tree, as ``docs/tfx.md`` has it.

    Raises:
        ArtifactMissing: that version was never pushed.
    """
    return call_tfx(space, "lineage", {"case": space.case.name, "version": version})


def call_tfx(space: Workspace, verb: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """Run a verb of TFX over the case's own state, with the settings' Beam runner.

    Raises:
        EnvironmentMissing, WorkerError: as ``validate_data``; and what the verb raises.
    """
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
    """One folder a span; returns the spans of each split.

    A span that two splits share (every tenth row of a train span may be the validation split's) is written whole,
    as it arrived, and counts for the first of them.
    """
    splits: dict[str, list[int]] = {}
    parts: dict[int, list[Split]] = {}
    for name in Dataset.SPLITS:
        split: Split = getattr(dataset, name)
        numbers = split.inputs[space.case.span]
        for number in map(int, np.unique(numbers)):
            if number not in parts:
                splits.setdefault(name, []).append(number)
            parts.setdefault(number, []).append(split.rows(np.flatnonzero(numbers == number)))
    for number, rows in parts.items():
        write_span(home, number, table_of(space, rows))
    return splits


def table_of(space: Workspace, parts: Sequence[Split]) -> dict[str, np.ndarray]:
    """Rows as a span's file has them: the inputs, and the label as 0 or 1."""
    place = space.case.contract.labels.index(space.case.label_column)
    labels = np.concatenate([rows.labels for rows in parts]) == place
    inputs = {
        name: np.concatenate([rows.inputs[name] for rows in parts]) for name in parts[0].inputs
    }
    return {**inputs, space.case.label_column: labels.astype(np.int64)}


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


def _model(space: Workspace, manifest: Manifest, framework: FrameworkName) -> dict[str, str]:
    # The very file that its server reads, which is also what was infra-validated.
    artifact = manifest.artifact(DEPLOYED[framework])
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
        detail="; ".join(
            f"{each['slice'] or 'all rows'}: {each['metric']} {each['value']:.3f}, {each['threshold']}"
            for each in facts["failures"]
        ),
    )
