"""Files that matter: written whole or not at all, named by digest, listed in a manifest."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from models.errors import ArtifactCorrupt, ArtifactMissing, StorageError, TwinServeError

MANIFEST = "manifest.json"
PARTIAL = ".partial-"
SPARE_BYTES = 2**16
"""A disk with less is full."""


@dataclass(frozen=True)
class Artifact:
    """One exported file or folder.

    Attributes:
        framework: ``tensorflow`` or ``pytorch``.
        format: see ``models.framework.Format``.
        path: relative to the manifest's folder.
        bytes: size; of a folder, the sum of its files.
        sha256: of the file; of a folder, over its files' names and digests in sorted order.
    """

    framework: str
    format: str
    path: str
    bytes: int
    sha256: str

    @classmethod
    def of(cls, framework: str, format_name: str, folder: Path, path: str) -> Artifact:
        """Describe what lies at ``folder / path``."""
        whole = folder / path
        return cls(framework, format_name, path, size_of(whole), digest_of(whole))

    def check(self, folder: Path) -> Path:
        """The artifact's path, after its digest was found right.

        Raises:
            ArtifactMissing: there is nothing.
            ArtifactCorrupt: there is something else.
        """
        path = folder / self.path
        if not path.exists():
            raise ArtifactMissing(
                f"{self.format} is missing: {path}.", "Run `make export FRESH=1` to make it again."
            )
        found = digest_of(path)
        if found != self.sha256:
            raise ArtifactCorrupt(
                f"{self.format} is corrupt: {path} has sha256 {found[:12]}…, the manifest says "
                f"{self.sha256[:12]}….",
                "Run `make export FRESH=1` to make it again.",
            )
        return path


@dataclass(frozen=True)
class Manifest:
    """Where a version came from and what it holds; the file beside the artifacts.

    Attributes:
        case: the case's name.
        version: counts from 1; also the version that the servers show.
        created: ISO 8601, UTC.
        git_commit: of the checkout that made it, with ``-dirty`` where files differed; "unknown" outside git.
        seed: splits, initial weights, batch order, dropout.
        hyperparameters: fields of ``models.case.Training`` by name.
        data_digest: sha256 of the data set.
        input_digest: sha256 over everything the version was made from; the same inputs give the same version.
        framework_versions: label by framework.
        data: the data set's folder below ``data/``.
        training: the folder of each framework's training below ``training/``.
        artifacts: what can be deployed.
        constants: sha256 of the ``constants.json`` beside the manifest; empty where the case needs none.
    """

    case: str
    version: int
    created: str
    git_commit: str
    seed: int
    hyperparameters: dict[str, float | int]
    data_digest: str
    input_digest: str
    framework_versions: dict[str, str]
    data: str
    training: dict[str, str]
    artifacts: tuple[Artifact, ...]
    constants: str = ""

    def artifact(self, format_name: str) -> Artifact:
        """The artifact of that format.

        Raises:
            ArtifactMissing: the version has none.
        """
        for artifact in self.artifacts:
            if artifact.format == format_name:
                return artifact
        raise ArtifactMissing(f"Version {self.version} of {self.case} has no {format_name}.")

    def write(self, folder: Path) -> None:
        """Write ``manifest.json``."""
        write_text(folder / MANIFEST, json.dumps(asdict(self), indent=2) + "\n")

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Read ``manifest.json``.

        Raises:
            ArtifactMissing: there is none.
            ArtifactCorrupt: it is not one.
        """
        path = folder / MANIFEST
        if not path.exists():
            raise ArtifactMissing(f"There is no {path}.", "Run `make export` first.")
        try:
            stored = json.loads(path.read_text())
            stored["artifacts"] = tuple(Artifact(**each) for each in stored["artifacts"])
            return cls(**stored)
        except (ValueError, TypeError, KeyError) as error:
            raise ArtifactCorrupt(
                f"{path} cannot be read: {error}.", "Run `make export FRESH=1` to make it again."
            ) from error


def digest_of(path: Path) -> str:
    """sha256 of a file, or of a folder's sorted relative names with their files' digests."""
    if path.is_file():
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    total = hashlib.sha256()
    for file in _files(path):
        total.update(f"{file.relative_to(path).as_posix()} {digest_of(file)}\n".encode())
    return total.hexdigest()


def digest_of_parts(*parts: object) -> str:
    """sha256 over the texts of some values, told apart by their lengths."""
    total = hashlib.sha256()
    for part in parts:
        text = str(part).encode()
        total.update(f"{len(text)}:".encode() + text)
    return total.hexdigest()


def digest_of_files(paths: Iterable[Path]) -> str:
    """sha256 over names and contents, for digests of source code."""
    return digest_of_parts(*((path.name, digest_of(path)) for path in sorted(paths)))


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files of a folder."""
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in _files(path))


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """Fill a folder beside ``target`` and rename it at the end; on any error nothing is left.

    What an earlier, killed process left half-written beside ``target`` is removed first. An older ``target``
    is replaced.

    Raises:
        StorageError: the disk is full, or the place cannot be written.
    """
    partial = target.with_name(f"{PARTIAL}{os.getpid()}-{target.name}")
    with storage_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        remove_stale_partials(target.parent)
        partial.mkdir()
        try:
            yield partial
            _replace(partial, target)
        except Exception as error:
            if _is_of_a_full_disk(error, partial):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
            raise
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write a file beside its place and rename it.

    Raises:
        StorageError: the disk is full, or the place cannot be written.
    """
    beside = path.with_name(f"{PARTIAL}{os.getpid()}-{path.name}")
    with storage_errors(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            beside.write_text(text)
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)


@contextmanager
def storage_errors(target: Path, named_by: str = "ARTIFACTS") -> Iterator[None]:
    """Turn the system's complaints about a place into StorageError.

    Args:
        target: the place.
        named_by: the variable that names another.

    Raises:
        StorageError: in place of OSError.
    """
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"{target} cannot be written: {error.strerror or error}.",
            f"Free some space or change the permissions, or name another folder with {named_by}=<folder>.",
        ) from error


def remove_stale_partials(folder: Path) -> None:
    """Remove what killed processes left half-written."""
    for partial in folder.glob(f"{PARTIAL}*"):
        owner = partial.name.removeprefix(PARTIAL).partition("-")[0]
        if owner.isdigit() and not _may_be_writing(int(owner), partial):
            if partial.is_symlink() or partial.is_file():
                partial.unlink(missing_ok=True)
            else:
                shutil.rmtree(partial, ignore_errors=True)


def _may_be_writing(owner: int, partial: Path) -> bool:
    """Whether that process lives and is older than what it would be writing.

    Process ids come again: in a container, every run may have the same one.
    """
    try:
        return psutil.Process(owner).create_time() <= partial.lstat().st_mtime + 1
    except (psutil.NoSuchProcess, FileNotFoundError):
        return False


def _is_of_a_full_disk(error: Exception, folder: Path) -> bool:
    """Whether a library's own error, which need be no OSError, comes from a disk without space."""
    if isinstance(error, TwinServeError | OSError):
        return False
    full = shutil.disk_usage(folder).free < SPARE_BYTES
    return full or os.strerror(errno.ENOSPC) in str(error)


def _replace(partial: Path, target: Path) -> None:
    if target.exists():
        # A folder cannot be renamed over a full one; the old one goes aside under a name that is swept.
        aside = target.with_name(f"{PARTIAL}{os.getpid()}-old-{target.name}")
        target.rename(aside)
        partial.rename(target)
        shutil.rmtree(aside, ignore_errors=True)
    else:
        partial.rename(target)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())
