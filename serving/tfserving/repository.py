"""A model repository as TF Serving reads it: ``<repository>/<version>/saved_model.pb``."""

from __future__ import annotations

import os
import shutil
import uuid
from pathlib import Path

from models.errors import ArtifactMissing, StorageError

SAVED_MODEL = "saved_model.pb"


def publish(saved_model: Path, repository: Path, version: int) -> Path:
    """Put a SavedModel folder into the repository, whole or not at all.

    Files are hard-linked where the file system allows, else copied, so neither side may be written
    to in place. They stand under a name that is no number, which servers pass over, until the
    folder is complete and is renamed.

    Args:
        saved_model: folder that holds ``saved_model.pb``.
        repository: created if missing.
        version: number of the version; an existing one is replaced.

    Returns:
        the version's folder in the repository.

    Raises:
        ArtifactMissing: ``saved_model`` is no SavedModel folder.
        StorageError: the repository cannot be written, or the disk is full.
    """
    if not (saved_model / SAVED_MODEL).is_file():
        raise ArtifactMissing(
            f"{saved_model} holds no {SAVED_MODEL}.", "Export the model first (`make export`)."
        )
    target = repository / str(version)
    beside = repository / f".incoming-{version}-{uuid.uuid4().hex}"
    try:
        repository.mkdir(parents=True, exist_ok=True)
        shutil.copytree(saved_model, beside, copy_function=_link_or_copy)
        _put_in_place(beside, target)
    except (OSError, shutil.Error) as error:
        raise StorageError(
            f"{target} cannot be written: {_reason(error)}.",
            "Free some space, or make the folder writable.",
        ) from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return target


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _put_in_place(beside: Path, target: Path) -> None:
    """Rename to the target; a folder that is there steps aside, and comes back if that fails."""
    if not target.exists():
        beside.rename(target)
        return
    retired = beside.with_name(beside.name.replace("incoming", "retired"))
    target.rename(retired)
    try:
        beside.rename(target)
    except OSError:
        retired.rename(target)
        raise
    shutil.rmtree(retired, ignore_errors=True)


def _reason(error: OSError | shutil.Error) -> str:
    """shutil.Error holds a list of (source, target, why)."""
    if isinstance(error, shutil.Error) and error.args and isinstance(error.args[0], list):
        return str(error.args[0][0][2])
    return error.strerror or str(error)
