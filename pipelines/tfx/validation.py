"""Stages: TFX holds the rows against the schema, span by span, and computes the constants of preprocessing.

A case takes part that has a ``span`` and a ``schema.pbtxt``.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from models.artifact import whole_folder, write_text
from models.case import SCHEMA, Case, case_folder
from models.dataset import Dataset, Split
from pipelines.facts import Check, DataFacts, EvaluationFacts, Findings, Outcome, ValidationFacts
from pipelines.tfx.calling import call_tfx
from pipelines.tfx.spans import write_span
from pipelines.tfx.statistics import shared_histograms, statistics_of
from pipelines.workspace import Workspace, log

CONSTANTS = Path("constants", "constants.json")
VALIDATION = "validation.json"
HISTOGRAMS = "histograms.json"
STATISTICS = "train-statistics.pb"
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
    checks = [_validity(found, spans), _drift(space.case, found)]
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
    space: Workspace, rows: DataFacts, statistics: str, target: Path
) -> list[dict[str, Any]]:
    """Hold a span that has just arrived against the schema, against the span before it (its units, how many rows
    it has), and against the rows that a model was trained on.

    Args:
        space: the case.
        rows: the span is their test split, all of it; the one before is the last of the others.
        statistics: ``ValidationFacts.statistics`` of the model's rows; empty for none.
        target: a folder for both spans' files; it must not be there.

    Returns:
        drift, a feature each: ``feature``, ``measure``, ``score``, ``threshold``, ``exceeded``.

    Raises:
        DataAnomaly: the rows are not as the schema says; each anomaly is named, and nothing is kept.
        SpanError, SchemaError: the span or the schema cannot be read.
        EnvironmentMissing, WorkerError: as ``validate_data``.
    """
    with whole_folder(target) as partial:
        dataset, name = Dataset.read(Path(rows.path)), space.case.span
        span, before = (int(each.inputs[name].max()) for each in (dataset.test, dataset.train))
        _write_spans(space, dataset, partial / SPANS, only=(before, span))
        request = {
            "spans": str(partial / SPANS),
            "span": span,
            "before": before,
            "statistics": statistics,
            "schema": str(case_folder(space.case.name) / SCHEMA),
            "label": space.case.label_column,
        }
        found = call_tfx(space, "monitor", request)
    return [each for each in found["drift"] if each["feature"] != space.case.span]


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


def _write_spans(
    space: Workspace, dataset: Dataset, home: Path, only: Collection[int] = ()
) -> dict[str, list[int]]:
    """One folder a span, or only some of them; returns the spans of each split.

    A span that two splits share (every tenth row of a train span may be the validation split's) is written whole,
    as it arrived, and counts for the first of them.
    """
    splits: dict[str, list[int]] = {}
    parts: dict[int, list[Split]] = {}
    for name in Dataset.SPLITS:
        split: Split = getattr(dataset, name)
        numbers = split.inputs[space.case.span]
        for number in map(int, np.unique(numbers)):
            if only and number not in only:
                continue
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


def _drift(case: Case, found: Mapping[str, Any]) -> Check:
    """Drift is a reason to retrain, and none to stop; that the span's own number changes is none."""
    drift = [
        # The label is a column as the others are, and no feature.
        each if each["feature"] != case.label_column else {**each, "feature": case.share_called}
        for each in found["drift"]
        if each["feature"] != case.span
    ]
    beyond = [each for each in drift if each["exceeded"]]
    worst = max(drift, key=lambda each: each["score"] / each["threshold"], default=None)
    figure = "no two spans to compare"
    if worst:
        figure = f"{worst['feature']} {worst['score']:.3f} in span {worst['span']}"
    return Check(
        stage="validate",
        subject="Data",
        question="No feature, nor the label, has drifted from span to span",
        outcome=Outcome.WARNING if beyond else Outcome.PASS,
        figure=figure,
        limit=f"≤ {worst['threshold']:g}" if worst else "",
        detail="; ".join(
            f"{each['feature']} in span {each['span']}: {each['score']:.3f} > {each['threshold']:g}"
            for each in beyond
        ),
    )
