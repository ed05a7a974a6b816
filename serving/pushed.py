"""What is in service: the files that were pushed last, for both servers together or not at all.

::

    <pushed>/<version>/models/<name>/<version>/saved_model.pb     TF Serving's repository
    <pushed>/<version>/model-store/<name>-<version>.mar           TorchServe's store
    <pushed>/<version>/push.json                                  who blessed it, and what it replaced
    <pushed>/current -> <version>                                 the pointer

A push is a whole serving home, filled beside its place and renamed; then the pointer is replaced, by one rename.
Whoever reads ``current`` sees the old pair or the new one, never one server's old file beside the other's new
one. A push that is killed leaves the old pair in service; the next one removes what it left.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from models.artifact import (
    PARTIAL,
    Manifest,
    digest_of,
    remove_stale_partials,
    storage_errors,
    whole_folder,
)
from models.errors import ArtifactCorrupt
from models.formats import Format
from serving.publish import model_store, publish_version, saved_model_folder

CURRENT = "current"
RECORD = "push.json"


@dataclass(frozen=True)
class Pushed:
    """A pair of files that was pushed.

    Attributes:
        version: its number.
        home: the serving home that holds it.
    """

    version: int
    home: Path

    def files(self, name: str) -> Mapping[str, tuple[Path, str]]:
        """By framework: the file that its server reads, and its format."""
        model = saved_model_folder(self.home, name) / str(self.version)
        archive = model_store(self.home) / f"{name}-{self.version}.mar"
        return {
            "tensorflow": (model, str(Format.SAVED_MODEL)),
            "pytorch": (archive, str(Format.MAR)),
        }

    def digests(self, name: str) -> dict[str, str]:
        """By format: sha256 of the file that is there now; empty where there is none."""
        files = self.files(name).values()
        return {form: digest_of(path) if path.exists() else "" for path, form in files}

    def record(self) -> str:
        """``push.json`` as it was written.

        Raises:
            ArtifactCorrupt: it cannot be read.
        """
        try:
            return (self.home / RECORD).read_text()
        except OSError as error:
            raise ArtifactCorrupt(
                f"{self.home / RECORD} cannot be read: {error.strerror}.",
                f"Remove {self.home.parent / CURRENT}, and push a version again.",
            ) from error


def in_service(pushed: Path) -> Pushed | None:
    """What the pointer points at; None where nothing was ever pushed.

    Raises:
        ArtifactCorrupt: the pointer points at nothing.
    """
    pointer = pushed / CURRENT
    if not pointer.is_symlink():
        return None
    target = str(pointer.readlink())
    if not target.isdigit() or not (pushed / target).is_dir():
        raise ArtifactCorrupt(
            f"{pointer} points at {target!r}, and there is no such push.",
            f"Remove {pointer}, and push a version again.",
        )
    return Pushed(int(target), pushed / target)


def find_push(pushed: Path, version: int) -> Pushed | None:
    """A version that was pushed, in service or not."""
    home = pushed / str(version)
    return Pushed(version, home) if (home / RECORD).exists() else None


def stage_pair(
    pushed: Path, version_folder: Path, manifest: Manifest, name: str, record: str
) -> Pushed:
    """Lay a version out for both servers, whole or not at all; it is not in service yet.

    Args:
        pushed: the folder of pushes; created if missing.
        version_folder: holds the artifacts that the manifest lists; they are held against its digests.
        manifest: of that version.
        name: the name that it is served under.
        record: JSON, kept as ``push.json``.

    Raises:
        ArtifactMissing, ArtifactCorrupt: an artifact is not what the manifest says.
        StorageError: the disk is full, or the folder cannot be written.
    """
    home = pushed / str(manifest.version)
    with whole_folder(home) as partial:
        publish_version(version_folder, manifest, name, partial)
        (partial / RECORD).write_text(record)
    return Pushed(manifest.version, home)


def put_in_service(pushed: Path, version: int) -> None:
    """Point at a staged version: the one step that puts both of its files in service.

    Raises:
        StorageError: the pointer cannot be written; what was in service still is.
    """
    pointer, beside = pushed / CURRENT, pushed / f"{PARTIAL}{os.getpid()}-{CURRENT}"
    with storage_errors(pointer):
        remove_stale_partials(pushed)
        beside.unlink(missing_ok=True)
        beside.symlink_to(str(version))
        try:
            beside.replace(pointer)
        finally:
            beside.unlink(missing_ok=True)


def withdraw(pushed: Path, version: int) -> None:
    """Take back a staged version that is not in service; one that is stays.

    Raises:
        StorageError: the folder cannot be written.
    """
    found = in_service(pushed)
    if found is None or found.version != version:
        with storage_errors(pushed):
            shutil.rmtree(pushed / str(version), ignore_errors=True)


def put_out_of_service(pushed: Path) -> None:
    """Nothing is in service any more. What was pushed stays, and can be put in service again.

    Raises:
        StorageError: the folder cannot be written.
    """
    with storage_errors(pushed):
        (pushed / CURRENT).unlink(missing_ok=True)
