"""Part: what the model itself costs, in every way that its framework can run it, without a server."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from models.artifact import Manifest, digest_of_files, digest_of_parts
from models.framework import FRAMEWORKS, TITLES, FrameworkName
from models.stopwatch import TimingPlan
from models.turns import Turns
from pipelines.breakdown.facts import AbsentRunner, InProcess, RunnerAnswers, RunnerTiming
from pipelines.hardware import hardware, versions
from pipelines.reference import constants_path, dataset_path, training_path
from pipelines.settings import PROJECT
from pipelines.workspace import Workspace, log

FULL = TimingPlan()
QUICK = TimingPlan(
    batches=(1, 16, 256),
    rounds=3,
    seconds=0.03,
    leave_out={"torch.compile": "a quick run does not wait for its compiler; `make measure` does"},
)

SOURCES = ("models/stopwatch.py", "models/turns.py", "models/runner.py")
NOT_RUN = ("MAR",)
"""The same TorchScript in an archive; it is timed as the file."""

WITHOUT_ONNX = "this version was exported before ONNX was; `make export` makes one that has it"


def in_process_digest(space: Workspace, manifest: Manifest, plan: TimingPlan) -> str:
    """Digest of what the figures depend on: files, weights, sources, plan, machine."""
    sources = [PROJECT / path for path in SOURCES]
    for framework in FRAMEWORKS:
        folder = PROJECT / "models/frameworks" / framework
        sources += [folder / "runners.py", folder / "runtime.py"]
    return digest_of_parts(
        sorted(artifact.sha256 for artifact in manifest.artifacts),
        manifest.training,
        asdict(plan),
        space.settings.threads,
        asdict(space.case.tolerances),
        digest_of_files(sources),
        sorted(versions().items()),
        sorted(hardware().items()),
    )


def measure_in_process(space: Workspace, manifest: Manifest, plan: TimingPlan) -> InProcess:
    """Both frameworks in processes of their own that take turns; every answer is compared first.

    Raises:
        WorkerError: a process failed.
        ArtifactError: a file is not what the manifest says.
    """
    log.info(
        f"In-process: {plan.rounds} rounds in turn, batch sizes {', '.join(map(str, plan.batches))}"
    )
    with tempfile.TemporaryDirectory(prefix="twinserve-turns-") as folder:
        with ThreadPoolExecutor(len(FRAMEWORKS)) as pool:
            # In a copy of this context, so that what is logged reaches Prefect's task run.
            timing = [
                pool.submit(copy_context().run, _time, space, manifest, name, plan, Path(folder))
                for name in FRAMEWORKS
            ]
        found = {name: each.result() for name, each in zip(FRAMEWORKS, timing, strict=True)}
    return InProcess(
        measured=datetime.now(UTC),
        quick=plan != FULL,
        digest=in_process_digest(space, manifest, plan),
        rounds=plan.rounds,
        batches=list(plan.batches),
        answers=[RunnerAnswers(**row) for row in _rows(found, "answers")],
        timings=[RunnerTiming(**row) for row in _rows(found, "timings")],
        absent=[
            *(AbsentRunner(**row) for row in _rows(found, "absent")),
            *_absent_files(space, manifest),
        ],
    )


def _time(
    space: Workspace, manifest: Manifest, name: FrameworkName, plan: TimingPlan, folder: Path
) -> dict[str, Any]:
    version = space.version_folder(manifest.version)
    artifacts = {
        each.format: str(each.check(version))
        for each in manifest.artifacts
        if each.framework == name and each.format not in NOT_RUN
    }

    def progress(said: Mapping[str, Any]) -> None:
        if said.get("right") is False:
            log.warning(f"In-process: {said['runner']} is not timed: {said['detail']}")
        elif "round" in said:
            log.info(f"In-process: {TITLES[name]}, round {said['round']} of {said['rounds']}")

    try:
        return space.call(
            name,
            "time_runners",
            str(dataset_path(space, manifest)),
            progress,
            trained=str(training_path(space, name, manifest)),
            constants=constants_path(space, manifest),
            artifacts=artifacts,
            plan=asdict(plan),
            turns=str(folder),
            names=list(FRAMEWORKS),
        )
    finally:
        Turns(folder, FRAMEWORKS, name).end()  # whatever became of the process


def _rows(found: Mapping[FrameworkName, Mapping[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [{**row, "framework": name} for name in FRAMEWORKS for row in found[name][kind]]


def _absent_files(space: Workspace, manifest: Manifest) -> list[AbsentRunner]:
    """Files that the case does without, by the name of what would run them."""
    absent = dict(space.case.absent)
    if "ONNX" not in absent and all(each.format != "ONNX" for each in manifest.artifacts):
        absent["ONNX"] = WITHOUT_ONNX
    return [
        AbsentRunner(runner="ONNX Runtime", framework="pytorch", reason=reason)
        if form == "ONNX"
        else AbsentRunner(runner=form, framework="tensorflow", reason=reason)
        for form, reason in absent.items()
    ]
