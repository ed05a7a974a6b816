"""Verb ``evaluate``: TFMA over the predictions of both models, sliced, and a blessing for each."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from models.artifact import digest_of, whole_folder, write_text
from pipelines.tfx.inside.bootstrap import REPLICATES, intervals
from pipelines.tfx.inside.predictions import (
    FRAMEWORKS,
    IN_SERVICE,
    OVERALL,
    Predictions,
)
from pipelines.tfx.inside.tfma_config import METRICS, THRESHOLDS

Report = Callable[[Mapping[str, Any]], None]
SLICES = ("carrier", "origin", "month", "hour")
FEWEST_ROWS = 200
RESULT = "evaluation.json"


def evaluate(request: dict[str, Any], report: Report) -> dict[str, Any]:
    """Judge both models on the same rows; see docs/tfx.md for request and result.

    Raises:
        EvaluationError: the predictions or the thresholds cannot be used.
        BaselineMissing: ``baseline`` is true, and the model in service has no predictions.
    """
    began = time.monotonic()
    asked = {
        "label": request["label"],
        "trained": dict(request["trained"]),
        "slices": list(request.get("slices", SLICES)),
        "thresholds": request.get("thresholds") or THRESHOLDS,
        "fewest_rows": request.get("fewest_rows", FEWEST_ROWS),
        "baseline": bool(request.get("baseline", False)),
    }
    source = Path(request["predictions"])
    table = Predictions.read(source, asked["label"], asked["slices"], asked["baseline"])
    report({"message": f"TFMA evaluates both models on {len(table.label):,} rows."})
    artifacts = _run(request, source, asked)
    replicates = request.get("replicates", REPLICATES)
    models = {name: _judged(table, name, asked, artifacts[name], replicates) for name in FRAMEWORKS}
    result = {
        "rows": len(table.label),
        "slices": asked["slices"],
        "fewest_rows": asked["fewest_rows"],
        "thresholds": asked["thresholds"],
        "compared_with_service": FRAMEWORKS[0] + IN_SERVICE in table.scores,
        "models": models,
        "too_small": _named(table.slices(asked["fewest_rows"])[1]),
        "predictions_digest": digest_of(source),
        "seconds": round(time.monotonic() - began, 1),
    }
    if out := request.get("out"):
        write_text(Path(out) / RESULT, json.dumps(result) + "\n")
    return result


def _run(request: Mapping[str, Any], source: Path, asked: Mapping[str, Any]) -> dict[str, Any]:
    """By framework: the URIs and ids of its evaluation and its blessing."""
    from tfx.dsl.components.common.importer import Importer

    from pipelines.tfx.inside.artifacts import Predictions as PredictionsArtifact
    from pipelines.tfx.inside.predictions_evaluator import PredictionsEvaluator
    from pipelines.tfx.inside.running import code_digest, outputs_of, run_pipeline

    folder = Path(request["state"]) / "predictions" / digest_of(source)[:12]
    if not folder.exists():
        with whole_folder(folder) as partial:
            shutil.copyfile(source, partial / "predictions.npz")
    predictions = Importer(
        source_uri=str(folder), artifact_type=PredictionsArtifact, reimport=False
    ).with_id("Predictions")
    evaluators = {
        name: PredictionsEvaluator(
            predictions=predictions.outputs["result"],
            framework=name,
            request=json.dumps(asked, sort_keys=True),
            code=code_digest(),
        ).with_id(f"Evaluator.{name}")
        for name in FRAMEWORKS
    }
    run_pipeline([predictions, *evaluators.values()], request)
    found = {}
    for name in FRAMEWORKS:
        outputs = outputs_of(request, f"Evaluator.{name}")
        found[name] = {key: each[0] for key, each in outputs.items()}
    return found


def _judged(
    table: Predictions,
    framework: str,
    asked: Mapping[str, Any],
    artifacts: Mapping[str, Any],
    replicates: int,
) -> dict[str, Any]:
    from pipelines.tfx.inside.verdicts import failures_of, measured

    masks, _ = table.slices(asked["fewest_rows"])
    uri = artifacts["evaluation"].uri
    values = measured(uri)
    slices = []
    for seed, ((column, value), mask) in enumerate(masks.items()):
        metrics = values["candidate"][column, value]
        scores = table.scores[framework][mask]
        slices.append(
            {
                "slice": "" if column == OVERALL else f"{column}={value}",
                "rows": int(mask.sum()),
                "positives": float(table.label[mask].mean()),
                "metrics": {name: metrics[name] for name in METRICS},
                "intervals": intervals(table.label[mask], scores, seed, replicates),
                "in_service": values.get("baseline", {}).get((column, value)),
            }
        )
    failures = failures_of(uri)
    return {
        "blessed": Path(artifacts["blessing"].uri, "BLESSED").exists(),
        "blessing": artifacts["blessing"].uri,
        "blessing_id": artifacts["blessing"].id,
        "evaluation": uri,
        "failures": failures,
        "slices": slices,
    }


def _named(slices: Mapping[tuple[str, str], int]) -> dict[str, int]:
    return {f"{column}={value}": rows for (column, value), rows in slices.items()}
