"""A version that computes nothing: the case's contract, and one and the same answer to everything."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from models.arrays import write_arrays
from models.artifact import Artifact, Manifest
from models.contract import Tensors
from models.formats import Format
from models.framework import FRAMEWORKS
from pipelines.reference import Reference, dataset_path
from pipelines.workspace import Workspace
from serving.torchserve.repository import pack


def export_noop(space: Workspace, manifest: Manifest, folder: Path) -> tuple[Manifest, Tensors]:
    """Write a SavedModel and a model archive that compute nothing.

    They answer with the real model's first answer, so that what goes over the wire is as long.

    Args:
        space: the case.
        manifest: the real version.
        folder: takes the files; exists.

    Returns:
        the manifest, and the one row that is always answered, each (1, ...).

    Raises:
        WorkerError: a framework's process failed.
    """
    reference = Reference.of(space, FRAMEWORKS[0], manifest)
    answer = {name: array[:1] for name, array in reference.test.items()}
    write_arrays(folder / "answer.npz", answer)
    artifacts = []
    for name in FRAMEWORKS:
        result = space.call(
            name,
            "export_noop",
            str(dataset_path(space, manifest)),
            answer=str(folder / "answer.npz"),
            target=str(folder / name),
        )
        artifacts += [
            Artifact.of(name, form, folder, f"{name}/{file}")
            for form, file in result["names"].items()
        ]
    path, case = f"pytorch/{space.case.name}.mar", space.case
    script = next(each for each in artifacts if each.format == Format.TORCHSCRIPT)
    pack(folder / script.path, case.contract, case.name, str(manifest.version), folder / path)
    artifacts.append(Artifact.of("pytorch", str(Format.MAR), folder, path))
    return replace(manifest, artifacts=tuple(artifacts)), answer
