"""Stage: export what people deploy, and put it together as a numbered version."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock

from models.artifact import Artifact, Manifest, storage_errors, whole_folder
from models.constants import FILE as CONSTANTS
from models.errors import ArtifactMissing
from models.formats import Format
from models.framework import TITLES, FrameworkName
from pipelines.facts import ArtifactFacts, DataFacts, ExportFacts, TrainingFacts
from pipelines.reference import constants_path
from pipelines.settings import PROJECT
from pipelines.workspace import Workspace, log
from serving.pushed import find_push
from serving.torchserve.repository import pack


def export_framework(
    space: Workspace, framework: FrameworkName, data: DataFacts, training: TrainingFacts
) -> ExportFacts:
    """Export one framework's trained weights to all of its formats.

    Raises:
        StorageError: the files cannot be written; nothing is left behind.
    """
    folder = space.export_folder(framework, data.basis)
    trained = space.training_folder(framework, data.basis)
    result = space.make(
        framework, "export", data.path, folder, trained=str(trained), constants=data.constants
    )
    artifacts = [ArtifactFacts(**artifact) for artifact in result["artifacts"]]
    log.info(f"{TITLES[framework]}: exported " + ", ".join(each.format for each in artifacts))
    return ExportFacts(
        framework=framework,
        path=str(folder),
        input_digest=space.export_digest(framework, data.basis),
        label=training.label,
        artifacts=artifacts,
    )


def assemble_version(space: Workspace, data: DataFacts, exports: list[ExportFacts]) -> Manifest:
    """Give the exports a version number, pack the model archive, write the manifest.

    The same inputs get the same version again; made anew, they get its number, unless that was pushed. A new
    version is a whole folder or none.

    Raises:
        StorageError: the version cannot be written.
        ArtifactMissing: an export is not there.
    """
    digest = space.version_digest(data.basis)
    with storage_errors(space.home):
        space.home.mkdir(parents=True, exist_ok=True)
        lock = FileLock(space.home / ".versions.lock", timeout=60)
    with lock:
        known = space.version_of(digest)
        if known and not space.fresh:
            check_artifacts(space, known)
            return known
        # A number that was pushed keeps its files, for what is said of it (blessings, a lineage) is of those.
        is_free = known and find_push(space.pushed_folder(), known.version) is None
        number = known.version if known and is_free else space.next_version()
        with whole_folder(space.version_folder(number)) as folder:
            artifacts = [*_copy(exports, folder), _pack(space, folder, number)]
            if data.constants:
                shutil.copyfile(data.constants, folder / CONSTANTS)
            manifest = Manifest(
                case=space.case.name,
                version=number,
                created=datetime.now(UTC).isoformat(timespec="seconds"),
                git_commit=git_commit(),
                seed=space.case.training.seed,
                hyperparameters=asdict(space.case.training),
                data_digest=data.digest,
                input_digest=digest,
                framework_versions={each.framework: each.label for each in exports},
                data=space.data_folder().name,
                constants=data.constants_digest,
                training={
                    each.framework: space.training_folder(each.framework, data.basis).name
                    for each in exports
                },
                artifacts=tuple(artifacts),
            )
            manifest.write(folder)
    log.info(f"Version {number}: {len(artifacts)} artifacts in {space.version_folder(number)}")
    return manifest


def check_artifacts(space: Workspace, manifest: Manifest) -> None:
    """Every artifact of a version is there and has the digest that the manifest says.

    Raises:
        ArtifactMissing: one is not there.
        ArtifactCorrupt: one is something else.
    """
    for artifact in manifest.artifacts:
        artifact.check(space.version_folder(manifest.version))
    constants_path(space, manifest)


def git_commit() -> str:
    """The checkout's commit, ``-dirty`` appended where files differ; "unknown" outside git."""
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
            cwd=PROJECT,
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
        return done.stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return "unknown"


def _copy(exports: list[ExportFacts], folder: Path) -> list[Artifact]:
    artifacts = []
    for export in exports:
        for facts in export.artifacts:
            source, path = Path(export.path) / facts.path, f"{export.framework}/{facts.path}"
            if not source.exists():
                raise ArtifactMissing(f"{source} is missing.", "Run `make export FRESH=1`.")
            (folder / path).parent.mkdir(exist_ok=True)
            _copy_one(source, folder / path)
            artifacts.append(Artifact.of(export.framework, facts.format, folder, path))
    return artifacts


def _copy_one(source: Path, target: Path) -> None:
    """Copy a file or a folder. Hard links would let an edit in one place corrupt the other."""
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copyfile(source, target)


def _pack(space: Workspace, folder: Path, number: int) -> Artifact:
    path = f"pytorch/{space.case.name}.mar"
    pack(
        folder / "pytorch/model.pt",
        space.case.contract,
        space.case.name,
        str(number),
        folder / path,
    )
    return Artifact.of("pytorch", str(Format.MAR), folder, path)
