"""Stages on their own, on what the earlier ones left: what the command line does without Prefect."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from models.artifact import Manifest
from models.errors import ArtifactMissing, NotBlessed
from models.framework import FRAMEWORKS, FrameworkName
from pipelines.breakdown.parts import stored_breakdown
from pipelines.check import check_across, check_server
from pipelines.conclude import conclude, keep, publish_report, recall
from pipelines.constants import prepare_constants
from pipelines.data import prepare_data
from pipelines.export import assemble_version, check_artifacts, export_framework
from pipelines.facts import (
    Blessings,
    DataFacts,
    Findings,
    Measurements,
    PushFacts,
    RunReport,
    Timings,
    Trainings,
    ValidationFacts,
)
from pipelines.in_service import baseline_for
from pipelines.measure import measure
from pipelines.push import push
from pipelines.quality import judge_quality, score_baseline
from pipelines.serve import StartedServers, start_servers
from pipelines.tfx.evaluation import evaluate_slices
from pipelines.tfx.validation import tfx_findings, validate_data
from pipelines.train import agree_before_training, initialise, judge_accuracy, train
from pipelines.verify import verify_framework
from pipelines.workspace import Workspace
from serving.load.job import LoadPlan

T = TypeVar("T")


def train_alone(space: Workspace) -> tuple[DataFacts, Trainings]:
    """Data, agreement before training, both trainings; what is complete is taken as it is."""
    _, rows = prepare_rows_alone(space)
    initial = _both(lambda name: initialise(space, name, rows))
    same = agree_before_training(space, *initial)
    trainings = _both(lambda name: train(space, name, rows, initial[FRAMEWORKS.index(name)]))
    return rows, Trainings(trainings=trainings, same_model=same)


def prepare_rows_alone(space: Workspace) -> tuple[ValidationFacts | None, DataFacts]:
    """The splits, what TFX says of them, and the constants, where the case needs them."""
    rows = prepare_data(space)
    validated = validate_data(space, rows) if space.uses_tfx else None
    computed = Path(validated.constants) if validated else None
    return validated, prepare_constants(space, rows, computed)


def export_alone(space: Workspace) -> Manifest:
    """Both exports and the version.

    Raises:
        ArtifactMissing: there is no training of the case as it is now.
    """
    validated, rows = prepare_rows_alone(space)
    for name in FRAMEWORKS:
        if not space.training_folder(name, rows.basis).exists():
            raise ArtifactMissing(
                f"{space.case.name!r} is not trained as it is now ({name}).",
                "Run `make train` first.",
            )
    _, facts = train_alone(space.reusing())
    exports = _both(
        lambda name: export_framework(space, name, rows, facts.trainings[FRAMEWORKS.index(name)])
    )
    manifest = assemble_version(space, rows, exports)
    keep(space, manifest.version, "train", facts)
    quality = judge_quality(space, rows, score_baseline(space, rows), *facts.trainings)
    keep(space, manifest.version, "quality", quality)
    baseline = baseline_for(space, rows) if validated else None
    evaluated = evaluate_slices(space, rows, baseline, *facts.trainings) if validated else None
    keep(space, manifest.version, "tfx", tfx_findings(space, validated, evaluated))
    return manifest


def verify_alone(space: Workspace, manifest: Manifest) -> Findings:
    """Every artifact of a version against the model in memory."""
    found = Findings().joined(*_both(lambda name: verify_framework(space, name, manifest)))
    keep(space, manifest.version, "verify", found)
    return found


def check_alone(space: Workspace, manifest: Manifest) -> Findings:
    """Both servers, started for this and stopped after it."""
    with servers_for(space, manifest) as started:
        specs = [server.spec for server in started.servers]
        results = [check_server(space, manifest, spec) for spec in specs]
        across = check_across(space, manifest, specs, [answers for _, answers in results])
    found = Findings(checks=started.skew, ready_seconds=started.ready_seconds).joined(
        *(findings for findings, _ in results), across
    )
    keep(space, manifest.version, "check", found)
    return found


def measure_alone(space: Workspace, manifest: Manifest, plan: LoadPlan) -> Measurements:
    """Both servers under load, started for this and stopped after it."""
    with servers_for(space, manifest) as started:
        found = measure(space, manifest, started, plan)
    keep(space, manifest.version, "measure", found)
    return found


def report_alone(space: Workspace, manifest: Manifest) -> tuple[RunReport, Path]:
    """The report from what the stages have found so far.

    Raises:
        ArtifactMissing: a stage has not run for this version.
    """
    check_artifacts(space, manifest)
    facts = recall(space, manifest.version, "train", Trainings)
    found = facts.same_model.joined(
        judge_accuracy(space, facts.trainings),
        _of_case(space, manifest, "quality", space.case.quality is not None),
        _of_case(space, manifest, "tfx", bool(space.case.span)),
        recall(space, manifest.version, "verify", Findings),
        recall(space, manifest.version, "check", Findings),
        _of_case(space, manifest, "push", space.facts_path(manifest.version, "push").exists()),
    )
    measured = recall(space, manifest.version, "measure", Measurements)
    nothing_timed = Timings(stages=[], wall_seconds=0.0, critical_path_seconds=0.0)
    breakdown = stored_breakdown(space, manifest)
    report = conclude(space, manifest, facts.trainings, found, measured, nothing_timed, breakdown)
    return report, publish_report(space, report)


def push_alone(space: Workspace, manifest: Manifest) -> PushFacts:
    """Push a version with the blessings that its own run has left, also one that was in service before.

    Raises:
        NotBlessed: its run has left none.
        StorageError: it cannot be written; what was in service still is.
    """
    number = manifest.version
    if not space.facts_path(number, "blessings").exists():
        raise NotBlessed(
            f"Version {number} of {space.case.name!r} has no blessings: none means no.",
            f"`make demo CASE={space.case.name}` evaluates it and validates it in both servers.",
        )
    check_artifacts(space, manifest)
    return push(space, manifest, recall(space, number, "blessings", Blessings))


@contextmanager
def servers_for(space: Workspace, manifest: Manifest) -> Iterator[StartedServers]:
    """Both servers, until the block ends."""
    started = start_servers(space, manifest)
    try:
        yield started
    finally:
        started.stop()


def _of_case(space: Workspace, manifest: Manifest, stage: str, is_asked: bool) -> Findings:
    """Only a case that asks for it has any, so a version from before it did still gets its report."""
    return recall(space, manifest.version, stage, Findings) if is_asked else Findings()


def _both(work: Callable[[FrameworkName], T]) -> list[T]:
    with ThreadPoolExecutor(len(FRAMEWORKS)) as pool:
        return list(pool.map(work, FRAMEWORKS))
