"""Stage: every exported file, opened where no training has been, against the model in memory."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from models.arrays import read_arrays
from models.artifact import Manifest
from models.case import Case
from models.contract import Tensors
from models.errors import ArtifactError, ParityError
from models.framework import FRAMEWORKS, TITLES, FrameworkName
from models.parity import Parity, Tolerance, compare
from models.predictor import Signature, StatedTensor, check_signature
from pipelines.facts import Check, Findings, Outcome, ParityRow
from pipelines.judging import failed_row, named, parity_check, parity_row
from pipelines.reference import Reference, constants_path, dataset_path, training_path
from pipelines.workspace import Workspace, log

BATCH_SIZES = (1, 7, 0)
"""1, a size that tracing never saw, and all rows at once."""


def batch_title(size: int) -> str:
    return str(size) if size else "all"


def verify_framework(space: Workspace, framework: FrameworkName, manifest: Manifest) -> Findings:
    """Open one framework's artifacts in a new process and compare them with its model in memory.

    Weights trained by the OTHER framework are loaded and compared on the way, for the process is the same.
    """
    folder = space.version_folder(manifest.version)
    artifacts = [each for each in manifest.artifacts if each.framework == framework]
    findings, sound = Findings(), []
    for artifact in artifacts:
        try:
            path = artifact.check(folder)
            sound.append({"format": artifact.format, "path": str(path)})
        except ArtifactError as error:
            findings = findings.joined(_unusable(space.case, framework, artifact.format, error))
    reference = Reference.of(space, framework, manifest)
    answered = _answers(space, framework, manifest, sound)
    for form, answer in answered.items():
        log.info(f"Verify: {form}")
        findings = findings.joined(judge_answers(space.case, form, reference, answer))
    return findings.joined(_transplant(space, framework, manifest))


Answer = Mapping[str, Any]
"""``signature`` and ``arrays`` (by ``<batch>/<output>``), or ``error`` with its name and message."""


def judge_answers(
    case: Case, subject: str, reference: Reference, answer: Answer, stage: str = "verify"
) -> Findings:
    """Names, then shapes, then values at every batch size and on the edge inputs.

    Args:
        case: its contract and tolerances.
        subject: an artifact's format, or a server with its protocol.
        reference: what the answers are held against.
        answer: what the subject said.
        stage: for the rows.
    """
    tolerance = tolerance_for(case, subject)
    if "error" in answer:
        error = f"{answer['error']['name']}: {answer['error']['message']}"
        row = failed_row(stage, subject, reference.name, "all", tolerance, error)
        return Findings(checks=[_open_check(stage, subject, error)], parity=[row])
    rows = [
        _compare(case, stage, subject, reference, batch, outputs, tolerance)
        for batch, outputs in _batches(answer["arrays"]).items()
    ]
    checks = [_signature_check(case, stage, subject, answer["signature"])]
    checks += [parity_check(row, _question(case, row.batch)) for row in rows]
    return Findings(checks=checks, parity=rows)


def tolerance_for(case: Case, subject: str) -> Tolerance:
    """Integer files are held to their own bounds."""
    return case.tolerances.of(subject)


def _question(case: Case, batch: str) -> str:
    if batch == "edge":
        return f"Edge inputs ({', '.join(case.contract.edges)}) are answered as in memory"
    return f"The test split at batch size {batch} is answered as in memory"


def _batches(arrays: Tensors) -> dict[str, dict[str, np.ndarray]]:
    grouped: dict[str, dict[str, np.ndarray]] = {}
    for key, array in arrays.items():
        batch, _, output = key.partition("/")
        title = batch if batch == "edge" else batch_title(int(batch))
        grouped.setdefault(title, {})[output] = array
    return grouped


def _compare(
    case: Case,
    stage: str,
    subject: str,
    reference: Reference,
    batch: str,
    outputs: Tensors,
    tolerance: Tolerance,
) -> ParityRow:
    wanted, labels = (
        (reference.edge, None) if batch == "edge" else (reference.test, reference.split.labels)
    )
    try:
        parity = compare(case.contract, wanted, outputs, tolerance, labels)
    except ParityError as error:
        return failed_row(stage, subject, reference.name, batch, tolerance, named(error))
    return parity_row(stage, subject, reference.name, batch, parity)


def _signature_check(case: Case, stage: str, subject: str, signature: Signature) -> Check:
    outcome, detail = Outcome.PASS, ""
    try:
        check_signature(case.contract, signature)
    except ParityError as error:
        outcome, detail = Outcome.FAIL, named(error)
    names = ", ".join(tensor.name for tensor in (*signature.inputs, *signature.outputs))
    return Check(
        stage=stage,
        subject=subject,
        question="Names, dtypes and shapes are the contract's",
        outcome=outcome,
        figure=names,
        limit=", ".join((*case.contract.input_names, *case.contract.output_names)),
        detail=detail,
    )


def _open_check(stage: str, subject: str, error: str) -> Check:
    return Check(
        stage=stage,
        subject=subject,
        question="It opens and answers",
        outcome=Outcome.FAIL,
        figure=error.partition(":")[0],
        limit="no error",
        detail=error,
    )


def _unusable(case: Case, framework: FrameworkName, form: str, error: ArtifactError) -> Findings:
    text = f"{type(error).__name__}: {error}"
    row = failed_row(
        "verify", form, f"{TITLES[framework]} in memory", "all", tolerance_for(case, form), text
    )
    return Findings(checks=[_open_check("verify", form, text)], parity=[row])


def _answers(
    space: Workspace,
    framework: FrameworkName,
    manifest: Manifest,
    artifacts: list[dict[str, str]],
) -> dict[str, Answer]:
    """What a new process of the framework gets from the files."""
    target = space.home / "scratch" / f"answers-{framework}"
    try:
        found = space.call(
            framework,
            "answer",
            str(dataset_path(space, manifest)),
            artifacts=artifacts,
            batch_sizes=list(BATCH_SIZES),
            target=str(target),
        )
        return {form: _read_answer(target, each) for form, each in found.items()}
    finally:
        shutil.rmtree(target, ignore_errors=True)
        with suppress(OSError):  # the other framework's answers may still be there
            target.parent.rmdir()


def _read_answer(folder: Path, answer: Mapping[str, Any]) -> Answer:
    if "error" in answer:
        return answer
    arrays = read_arrays(folder / answer["answers"])
    return {"signature": _signature(answer["signature"]), "arrays": arrays}


def _signature(stored: Mapping[str, Any]) -> Signature:
    def side(tensors: list[dict[str, Any]]) -> tuple[StatedTensor, ...]:
        return tuple(
            StatedTensor(
                tensor["name"],
                tensor["dtype"],
                None if tensor["shape"] is None else tuple(tensor["shape"]),
            )
            for tensor in tensors
        )

    return Signature(side(stored["inputs"]), side(stored["outputs"]))


def _transplant(space: Workspace, framework: FrameworkName, manifest: Manifest) -> Findings:
    other = FRAMEWORKS[1 - FRAMEWORKS.index(framework)]
    dataset, trained = dataset_path(space, manifest), training_path(space, other, manifest)
    constants = constants_path(space, manifest)
    result = space.call(
        framework, "transplant", str(dataset), trained=str(trained), constants=constants
    )
    parity = Parity(**{**result, "tolerance": Tolerance(**result["tolerance"])})
    row = parity_row(
        "same model",
        f"{TITLES[framework]} with weights trained by {TITLES[other]}",
        f"{TITLES[other]} in memory",
        "all",
        parity,
    )
    question = f"Weights trained by {TITLES[other]} answer the same in {TITLES[framework]}"
    return Findings(checks=[parity_check(row, question)], parity=[row])
