"""The model in service: the pair of files that was pushed last, and what it answers."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from models.arrays import read_arrays
from models.artifact import Manifest
from models.errors import ArtifactCorrupt, ArtifactMissing
from models.formats import Format
from models.framework import FRAMEWORKS, FrameworkName
from models.verbs import PREDICTED
from pipelines.facts import DataFacts, PushRecord
from pipelines.workspace import Workspace
from serving import pushed
from serving.pushed import CURRENT, Pushed


@dataclass(frozen=True)
class InService:
    """A pushed pair with its record."""

    files: Pushed
    record: PushRecord

    @property
    def version(self) -> int:
        return self.record.version

    def check(self, manifest: Manifest) -> None:
        """A number may have been given to other models since.

        Args:
            manifest: of the version of the same number.

        Raises:
            ArtifactCorrupt: it lists other files than those that were pushed.
        """
        pushed = self.record.artifacts or self.files.digests(self.record.case)
        if pushed != served_digests(manifest):
            raise ArtifactCorrupt(
                f"Version {self.version} was pushed with other files than its manifest lists now: "
                f"{self.files.home}.",
                "A number that was pushed keeps its files: `make demo FRESH=1` makes the models anew, under a "
                "number of their own.",
            )

    @property
    def key(self) -> str:
        """What tells its models apart from others'."""
        return " ".join(self.record.training[name] for name in FRAMEWORKS)


def served_digests(manifest: Manifest) -> dict[str, str]:
    """By format: sha256 of the two files that servers read."""
    return {str(form): manifest.artifact(form).sha256 for form in (Format.SAVED_MODEL, Format.MAR)}


def model_in_service(space: Workspace) -> InService | None:
    """What is in service; None where nothing was pushed yet.

    Raises:
        ArtifactCorrupt: the pointer or the record cannot be read.
    """
    found = pushed.in_service(space.pushed_folder())
    return _with_record(found) if found else None


def pushed_model(space: Workspace, version: int | None) -> InService | None:
    """A version that was pushed, in service or not; None where it never was."""
    found = None if version is None else pushed.find_push(space.pushed_folder(), version)
    return _with_record(found) if found else None


def baseline_for(space: Workspace, data: DataFacts) -> InService | None:
    """The model in service that a candidate is held against; for the one that is in service itself, the one
    before it, so that a run that is repeated asks the same question again. What is made anew is another candidate.

    Args:
        space: the case.
        data: the rows that the candidate is made from.
    """
    found = model_in_service(space)
    mine = {name: space.training_folder(name, data.basis).name for name in FRAMEWORKS}
    if space.fresh or found is None or found.record.training != mine:
        return found
    return pushed_model(space, found.record.replaced)


def manifest_to_serve(space: Workspace, version: int | None) -> Manifest:
    """The version that is named; else the one in service; else, where nothing was ever pushed, the latest.

    Raises:
        ArtifactMissing: there is no such version.
        ArtifactCorrupt: the one in service is no longer what was pushed.
    """
    found = model_in_service(space) if version is None else None
    return _manifest_of(space, found) if found else space.manifest(version)


def manifest_in_service(space: Workspace) -> Manifest:
    """The version in service.

    Raises:
        ArtifactMissing: nothing was pushed.
        ArtifactCorrupt: its files are no longer what was pushed.
    """
    found = model_in_service(space)
    if found is None:
        raise ArtifactMissing(
            f"No version of {space.case.name!r} was pushed, so none is in service.",
            "Name one: `make deploy VERSION=2`.",
        )
    return _manifest_of(space, found)


def scores_of(
    space: Workspace, models: Sequence[InService], data: DataFacts, split: str, target: Path
) -> dict[FrameworkName, list[np.ndarray]]:
    """What pushed models say of a whole split, by opening the very files that were pushed.

    Args:
        space: the case.
        models: which.
        data: the rows.
        split: the name of the split.
        target: a folder for the answers; it must not be there.

    Returns:
        by framework, for each model the probability of the label that is scored: float64 (N,).

    Raises:
        ArtifactCorrupt: a pushed file cannot be opened.
    """
    contract = space.case.contract
    place = contract.labels.index(space.case.label_column)

    def ask(framework: FrameworkName) -> list[np.ndarray]:
        opened = [model.files.files(space.case.name)[framework] for model in models]
        folder = target / framework
        space.call(
            framework,
            "predict",
            data.path,
            artifacts=[{"path": str(path), "format": form} for path, form in opened],
            split=split,
            target=str(folder),
        )
        answers = read_arrays(folder / PREDICTED)
        return [
            answers[f"{number}/{contract.scores}"][:, place].astype(np.float64)
            for number in range(len(models))
        ]

    with ThreadPoolExecutor(len(FRAMEWORKS)) as pool:
        futures = {name: pool.submit(copy_context().run, ask, name) for name in FRAMEWORKS}
        return {name: future.result() for name, future in futures.items()}


def _manifest_of(space: Workspace, found: InService) -> Manifest:
    manifest = space.manifest(found.version)
    found.check(manifest)
    return manifest


def _with_record(found: Pushed) -> InService:
    try:
        return InService(found, PushRecord.model_validate_json(found.record()))
    except ValidationError as error:
        raise ArtifactCorrupt(
            f"The record of the push of version {found.version} cannot be read: {found.home}.",
            f"Remove {found.home.parent / CURRENT}, and push a version again.",
        ) from error
