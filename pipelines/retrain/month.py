"""One span that has arrived: validate it, watch drift and performance, retrain if due, bless or refuse, push."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.dataset import StoredDataset
from models.framework import FRAMEWORKS, TITLES
from models.spans import Spans
from pipelines.conclude import failed, keep
from pipelines.data import prepare_data
from pipelines.facts import DataFacts, EvaluationFacts, Trainings
from pipelines.flow import (
    bless_and_push,
    check_servers,
    evaluate_by_slices,
    export_version,
    initialise_twins,
    prepare_rows,
    served,
    split_rows,
    train_twins,
)
from pipelines.in_service import InService
from pipelines.push import unblessed_models
from pipelines.retrain.facts import Line, PerformanceFacts, SpanFacts, ratio
from pipelines.retrain.monitoring import (
    answers_when_blessed,
    performance,
    prediction_drift,
    watch_answers,
    watch_features,
)
from pipelines.retrain.policy import Policy, Signs, reasons_to_retrain, why_not
from pipelines.tasks import Run
from pipelines.tfx.evaluation import scores_in_training
from pipelines.tfx.facts import DriftFacts
from pipelines.train import agree_before_training
from pipelines.workspace import Workspace, log

FIRST = "nothing is in service yet"
LEAST_STEPS = 600
"""Steps of a training; few rows are passed over more often than the case says, for so many."""


@dataclass(frozen=True)
class Before:
    """What was in service when a span arrived.

    Attributes:
        frozen: the first version that was ever pushed.
        service: the one in service.
        blessed: how good the latter was on the span that it was blessed on.
    """

    frozen: InService | None = None
    service: InService | None = None
    blessed: Sequence[PerformanceFacts] = ()

    @property
    def lines(self) -> dict[Line, InService]:
        pairs: dict[Line, InService | None] = {"frozen": self.frozen, "in service": self.service}
        return {line: model for line, model in pairs.items() if model is not None}


def work_on(
    space: Workspace, spans: Spans, policy: Policy, before: Before, digest: str
) -> SpanFacts:
    """Everything about one span.

    Args:
        space: the case, with its service in its own home.
        spans: the new span, to test on, and those to learn from if it comes to that.
        policy: when to retrain.
        before: what is in service.
        digest: kept with the facts.

    Raises:
        DataError: the span cannot be used; nothing is pushed.
        EvaluationError, ServerError, StorageError: a stage cannot go on; what is in service still is.
    """
    began, (span,) = time.monotonic(), spans.test
    log.info(f"{space.case.span.capitalize()} {span} has arrived")
    rows = prepare_data(space.of_spans(spans))
    run = Run(_with_enough_steps(space.of_spans(spans), rows), f"{space.case.span} {span}")
    found = _watch(run, span, rows, policy, before)
    if found.reasons:
        log.info(f"Retraining on {_listed(spans.train)}: {'; '.join(found.reasons)}")
        found = _retrain(run, found, before)
    else:
        log.info(f"Not retrained: {found.why_not}")
    return found.model_copy(update={"digest": digest, "seconds": time.monotonic() - began})


def _watch(run: Run, span: int, rows: DataFacts, policy: Policy, before: Before) -> SpanFacts:
    """What the new span shows, and whether that is reason enough."""
    space, service = run.space, before.service
    # Without a model in service there is nothing to drift from; the training that follows validates the span.
    watching = run.submit(watch_features, rows, service) if service else None
    asked = run.submit(watch_answers, rows, before.lines).result() if before.lines else {}
    moved_rows: list[DriftFacts] = watching.result() if watching else []
    # TFDV looks at every column alike, and one of them is the label.
    drift = [each for each in moved_rows if each.feature != space.case.label_column]
    label = next((each for each in moved_rows if each not in drift), None)
    measured = [
        each
        for line, scores in asked.items()
        for each in performance(space, rows, line, before.lines[line].version, scores)
    ]
    facts = SpanFacts(
        digest="",
        span=span,
        rows=rows.rows["test"],
        positives=_positives(space, rows),
        drift=drift,
        label_drift=label,
        prediction_drift=[],
        performance=measured,
        reasons=[FIRST],
        why_not="",
        in_service=service.version if service else None,
        frozen=before.frozen.version if before.frozen else None,
        seconds=0.0,
    )
    if service is None:
        return facts
    moved = prediction_drift(answers_when_blessed(space, service), asked["in service"])
    signs = Signs(
        drift={each.feature: ratio(each) for each in drift},
        label={space.case.share_called: ratio(label)} if label else {},
        predictions={TITLES[each.framework]: each.score for each in moved},
        auc_drop=_changes(before.blessed, measured, "roc_auc", -1),
        log_loss_rise=_changes(before.blessed, measured, "log_loss", 1),
    )
    reasons = reasons_to_retrain(policy, signs)
    told = {"reasons": reasons, "why_not": "" if reasons else why_not(policy, signs)}
    return facts.model_copy(update={"prediction_drift": moved, **told})


def _retrain(run: Run, found: SpanFacts, before: Before) -> SpanFacts:
    """Train both frameworks, evaluate against the model in service, and push what every blessing admits."""
    validated, rows = prepare_rows(run, split_rows(run))
    assert validated  # TFX takes part: the flow has asked
    initial = initialise_twins(run, rows)
    same = run.submit(agree_before_training, *initial).result()
    trained = train_twins(run, rows, initial)
    evaluating = evaluate_by_slices(run, rows, trained)
    manifest = export_version(run, rows, trained)
    trainings = [future.result() for future in trained]
    facts = Trainings(trainings=trainings, same_model=same)
    keep(run.space, manifest.version, "train", facts)
    assert evaluating
    evaluated: EvaluationFacts = evaluating.result()
    scores = {
        name: scores_in_training(run.space, run.space.training_folder(name, rows.basis))
        for name in FRAMEWORKS
    }
    measured = performance(run.space, rows, "candidate", manifest.version, scores)
    found = found.model_copy(
        update={
            "candidate": manifest.version,
            "trained_on": validated.trained_on,
            "compared_with": evaluated.compared_with,
            "performance": [*found.performance, *measured],
        }
    )
    if refused := unblessed_models(evaluated):
        # Servers are started only for what may be pushed.
        log.warning(f"Refused: {'; '.join(refused)}")
        return found.model_copy(update={"refused": refused})
    with served(run, manifest) as servers:
        checked, each_server = check_servers(run, manifest, servers)
    pushed, _ = bless_and_push(
        run,
        manifest,
        validated,
        evaluated,
        (servers, each_server),
        failed(same.joined(checked).checks),
    )
    if not pushed.pushed:
        why = pushed.missing or [each.detail for each in pushed.findings.checks]
        return found.model_copy(update={"refused": why})
    frozen = before.frozen.version if before.frozen else manifest.version
    return found.model_copy(
        update={"pushed": True, "in_service": pushed.in_service, "frozen": frozen}
    )


def _changes(
    blessed: Sequence[PerformanceFacts],
    measured: Sequence[PerformanceFacts],
    metric: str,
    sign: int,
) -> dict[str, float]:
    """By framework's title: how far a metric of the model in service has moved the wrong way."""
    then = {each.framework: getattr(each, metric) for each in blessed}
    now = {each.framework: getattr(each, metric) for each in measured if each.line == "in service"}
    return {TITLES[name]: sign * (now[name] - then[name]) for name in now if name in then}


def _with_enough_steps(space: Workspace, rows: DataFacts) -> Workspace:
    training = space.case.training
    steps = training.steps(rows.rows["train"])
    return space.with_training({"epochs": max(training.epochs, -(-LEAST_STEPS // steps))})


def _positives(space: Workspace, rows: DataFacts) -> float:
    labels = StoredDataset.open(Path(rows.path)).test.labels()
    return float(np.mean(labels == space.case.contract.labels.index(space.case.label_column)))


def _listed(spans: Sequence[int]) -> str:
    return f"{spans[0]} to {spans[-1]}" if len(spans) > 1 else str(spans[0])
