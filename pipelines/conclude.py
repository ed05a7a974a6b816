"""Stage: put everything together that the others found, and say the verdict."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from models.artifact import Manifest, write_text
from models.contract import TensorSpec
from models.errors import ArtifactCorrupt, ArtifactMissing, ChecksFailed
from pipelines.breakdown.facts import Breakdown
from pipelines.breakdown.judging import judge_breakdown
from pipelines.facts import (
    AbsentFormat,
    ArtifactFacts,
    Check,
    ContractTensor,
    Environment,
    Findings,
    Measurements,
    Outcome,
    RunReport,
    Timings,
    TrainingFacts,
)
from pipelines.hardware import hardware, versions
from pipelines.measure import judge_measurements
from pipelines.report import write_report
from pipelines.report.claims import claims_of
from pipelines.workspace import Workspace, log


def conclude(
    space: Workspace,
    manifest: Manifest,
    trainings: Sequence[TrainingFacts],
    findings: Findings,
    measurements: Measurements | None,
    timings: Timings,
    breakdown: Breakdown | None = None,
) -> RunReport:
    """One report from all facts; passed if no check failed."""
    measured = judge_measurements(measurements) if measurements else []
    breakdown = breakdown or Breakdown()
    checks = [*findings.checks, *measured, *judge_breakdown(breakdown)]
    contract = space.case.contract
    return RunReport(
        case=space.case.name,
        title=space.case.title,
        version=manifest.version,
        created=datetime.now(UTC),
        passed=bool(checks) and all(check.outcome is not Outcome.FAIL for check in checks),
        measured=measurements.measured if measurements else None,
        inputs=[_tensor(spec) for spec in contract.inputs],
        outputs=[_tensor(spec) for spec in contract.outputs],
        labels=list(contract.labels),
        checks=checks,
        parity=findings.parity,
        training=list(trainings),
        artifacts=[ArtifactFacts(**asdict(artifact)) for artifact in manifest.artifacts],
        servers=measurements.servers if measurements else [],
        load=measurements.load if measurements else None,
        claims=claims_of(measurements.load) if measurements else [],
        malformed=findings.malformed,
        quality=findings.quality,
        statistics=findings.statistics,
        slices=findings.slices,
        absent=[
            AbsentFormat(format=form, reason=reason) for form, reason in space.case.absent.items()
        ],
        breakdown=breakdown,
        timings=timings,
        environment=_environment(manifest),
    )


def publish_report(space: Workspace, report: RunReport) -> Path:
    """Write ``report/index.html`` and ``report/report.json``; the page's path.

    Raises:
        StorageError: they cannot be written.
    """
    page = write_report(report, space.version_folder(report.version) / "report")
    log.info("Report: %s", page)
    return page


def read_report(page: Path) -> RunReport:
    """The facts beside a report's page."""
    return RunReport.model_validate_json(page.with_name("report.json").read_text())


def failed(checks: Sequence[Check]) -> list[Check]:
    """Those that said no."""
    return [check for check in checks if check.outcome is Outcome.FAIL]


def raise_if_failed(checks: Sequence[Check], page: Path | None = None) -> None:
    """
    Args:
        checks: of a stage, or of a whole run.
        page: the report, where there is one.

    Raises:
        ChecksFailed: naming the first failed checks.
    """
    found = failed(checks)
    if not found:
        return
    first = "; ".join(f"{check.subject}: {check.question}: {check.figure}" for check in found[:3])
    more = f"; and {len(found) - 3} more" if len(found) > 3 else ""
    raise ChecksFailed(
        f"{len(found)} of {len(checks)} checks failed. {first}{more}.",
        f"See {page}." if page else "",
        str(page or ""),
    )


def keep(space: Workspace, number: int, stage: str, facts: BaseModel) -> None:
    """Keep a stage's facts beside the version, for the stages that come later on their own."""
    write_text(space.facts_path(number, stage), facts.model_dump_json(indent=2) + "\n")


F = TypeVar("F", bound=BaseModel)


def recall(space: Workspace, number: int, stage: str, kind: type[F]) -> F:
    """A stage's facts as ``keep`` left them.

    Raises:
        ArtifactMissing: the stage has not run for this version.
        ArtifactCorrupt: the file cannot be read.
    """
    path = space.facts_path(number, stage)
    if not path.exists():
        raise ArtifactMissing(
            f"The stage {stage!r} has not run for version {number} of {space.case.name!r}.",
            f"Run `python -m pipelines {stage}` (or `make demo`) first.",
        )
    try:
        return kind.model_validate(json.loads(path.read_text()))
    except (ValueError, ValidationError) as error:
        raise ArtifactCorrupt(
            f"{path} cannot be read.", f"Run `python -m pipelines {stage}` again."
        ) from error


def _tensor(spec: TensorSpec) -> ContractTensor:
    shape = f"({', '.join(('N', *map(str, spec.shape)))})"
    return ContractTensor(name=spec.name, dtype=spec.dtype, shape=shape, meaning=spec.meaning)


def _environment(manifest: Manifest) -> Environment:
    hyperparameters = {k: v for k, v in manifest.hyperparameters.items() if k != "seed"}
    return Environment(
        hardware=hardware(),
        versions=versions(),
        seeds={"splits, weights, batches, dropout": manifest.seed},
        git_commit=manifest.git_commit,
        data_digest=manifest.data_digest,
        hyperparameters={name: f"{value:g}" for name, value in hyperparameters.items()},
    )
