"""Stage: push a version into TF Serving's version folder and TorchServe's model store, together or not at all.

Only with every blessing: TFMA's of both frameworks, and an infra blessing of both servers. None means no. What is
in service is changed by one rename (see ``serving.pushed``), after everything else; whatever goes wrong before
leaves it as it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from models.artifact import Manifest
from models.errors import ArtifactCorrupt, NotBlessed
from models.framework import FRAMEWORKS, TITLES
from pipelines.facts import (
    Blessings,
    Check,
    EvaluationFacts,
    Findings,
    InfraFacts,
    Outcome,
    PushFacts,
    PushRecord,
    ValidationFacts,
)
from pipelines.in_service import InService, model_in_service, pushed_model, served_digests
from pipelines.serve import left_running
from pipelines.tfx.lineage import recorded_push
from pipelines.workspace import Workspace, log
from serving.endpoints import FRAMEWORK_OF
from serving.pushed import put_in_service, stage_pair, withdraw

SERVER_TITLES = {"tfserving": "TF Serving", "torchserve": "TorchServe"}


def push(space: Workspace, manifest: Manifest, blessings: Blessings) -> PushFacts:
    """Put a version in service, or say which blessing it lacks.

    Returns:
        what was done; a refusal is a finding, and leaves what is in service untouched.

    Raises:
        ArtifactMissing, ArtifactCorrupt: a file of the version is not what its manifest says, or that number was
            pushed before with other files.
        StorageError: the disk is full, or the folder cannot be written; what was in service still is.
    """
    before = model_in_service(space)
    missing = missing_blessings(blessings)
    if not missing and not blessings.failed:
        try:
            return _put_in_place(space, manifest, blessings, before)
        except NotBlessed as error:  # the lineage knows better than what we were handed
            missing = [error.message]
    reasons = [*missing, *blessings.failed]
    serving = f"version {before.version} stays in service" if before else "nothing is in service"
    log.warning(f"Not pushed: {'; '.join(reasons)}. {serving.capitalize()}")
    check = _check(
        Outcome.FAIL, f"refused, {serving}", f"Version {manifest.version}: {'; '.join(reasons)}"
    )
    return PushFacts(
        version=manifest.version,
        pushed=False,
        replaced=None,
        in_service=before.version if before else None,
        missing=missing,
        findings=Findings(checks=[check]),
    )


def gather_blessings(
    validated: ValidationFacts,
    evaluated: EvaluationFacts,
    infra: InfraFacts,
    failing: Sequence[Check],
) -> Blessings:
    """Everything that a push asks for.

    Args:
        validated: what TFX says of the rows.
        evaluated: what TFMA says of the models.
        infra: what starting the servers has shown; TFX's own InfraValidator has its say there too.
        failing: checks of the run that said no before.
    """
    # Why TFMA withholds a blessing stands with the blessing.
    others = [check for check in failing if check.stage != "evaluate"]
    others += [check for check in infra.findings.checks if check.outcome is Outcome.FAIL]
    return Blessings(
        validated=validated,
        evaluated=evaluated,
        infra=infra,
        failed=[f"{check.subject}: {check.question}: {check.figure}" for check in others],
    )


def missing_blessings(blessings: Blessings) -> list[str]:
    """Every blessing that is not there, in words; a blessing that says no is not there."""
    servers = [name for name in FRAMEWORK_OF if name not in blessings.infra.blessings]
    return [
        *unblessed_models(blessings.evaluated),
        *(f"no infra blessing of {SERVER_TITLES[name]}" for name in servers),
    ]


def unblessed_models(evaluated: EvaluationFacts) -> list[str]:
    """Frameworks that TFMA has not blessed, each with the slices and metrics that stand against it."""
    reasons = {check.subject: check.detail for check in evaluated.findings.checks}
    return [
        f"no blessing of {TITLES[name]} by TFMA" + _because(reasons.get(TITLES[name], ""))
        for name in FRAMEWORKS
        if name not in evaluated.blessings
    ]


def _put_in_place(
    space: Workspace, manifest: Manifest, blessings: Blessings, before: InService | None
) -> PushFacts:
    known = _pushed_before(space, manifest.version)
    if known:
        known.check(manifest)
    artifacts = served_digests(manifest)
    again = before if before and before.version == manifest.version else None
    replaced = again.record.replaced if again else before and before.version
    record = PushRecord(
        case=space.case.name,
        version=manifest.version,
        pushed=datetime.now(UTC),
        replaced=replaced,
        training=dict(manifest.training),
        trained_on=blessings.validated.trained_on,
        artifacts=artifacts,
        evaluation_blessings=blessings.evaluated.blessings,
        infra_blessings=blessings.infra.blessings,
    )
    # What lies there damaged is laid out anew.
    if again is None or again.files.digests(space.case.name) != artifacts:
        folder = space.version_folder(manifest.version)
        stage_pair(
            space.pushed_folder(),
            folder,
            manifest,
            space.case.name,
            record.model_dump_json(indent=2) + "\n",
        )
        try:
            with recorded_push(space, manifest, blessings):
                put_in_service(space.pushed_folder(), manifest.version)
        except BaseException:
            if known is None:  # half a push is none
                withdraw(space.pushed_folder(), manifest.version)
            raise
    instead = f", in place of version {replaced}" if replaced is not None else ""
    log.info(f"Push: version {manifest.version} is in service{instead}")
    _tell_servers(space, manifest)
    return PushFacts(
        version=manifest.version,
        pushed=True,
        replaced=replaced,
        in_service=manifest.version,
        missing=[],
        findings=Findings(
            checks=[_check(Outcome.PASS, f"version {manifest.version} is in service{instead}")]
        ),
    )


def _pushed_before(space: Workspace, version: int) -> InService | None:
    """None also where its record cannot be read: then it is pushed as if for the first time."""
    try:
        return pushed_model(space, version)
    except ArtifactCorrupt:
        return None


def _tell_servers(space: Workspace, manifest: Manifest) -> None:
    """Servers that were left running go on with what they serve until they are told."""
    for served in {record.tags["version"] for record in left_running(space)}:
        if served != str(manifest.version):
            log.info(
                f"The servers that run still serve version {served}: `make deploy "
                f"CASE={space.case.name}` has them serve version {manifest.version}"
            )


def _check(outcome: Outcome, figure: str, detail: str = "") -> Check:
    return Check(
        stage="push",
        subject="Both servers",
        question="Pushed together, with every blessing",
        outcome=outcome,
        figure=figure,
        limit="4 of 4 blessings",
        detail=detail,
    )


def _because(detail: str) -> str:
    return f" ({detail})" if detail else ""
