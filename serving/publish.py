"""Put one version of a model into a serving home: the folders that both servers read.

::

    <home>/models/<name>/<version>/saved_model.pb     TF Serving's repository
    <home>/model-store/<name>-<version>.mar           TorchServe's store

In both, the highest number is the one that is served. ``python -m serving.publish`` is what Docker
Compose runs inside TorchServe's image, so nothing is imported here that is not in it.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from models.artifact import MANIFEST, Artifact, Manifest, digest_of
from models.errors import ArtifactMissing, StorageError, TwinServeError
from serving.tfserving import repository as tfserving_repository
from serving.torchserve import repository as torchserve_repository

LATEST = "latest"
SAVED_MODEL, MAR = "SavedModel", "MAR"
"""``models.framework.Format`` names them too, but brings what the image does not hold."""


def publish_version(version_folder: Path, manifest: Manifest, model_name: str, home: Path) -> None:
    """Put the SavedModel and the archive of one version into ``home``, each whole or not at all.

    What is there already, unchanged, is left alone, so that servers which read it are not disturbed.

    Args:
        version_folder: holds the artifacts that the manifest lists.
        manifest: of that version; both files are held against its digests first.
        model_name: the name they are served under.
        home: the serving home; created if missing.

    Raises:
        ArtifactMissing, ArtifactCorrupt: an artifact is not what the manifest says.
        StorageError: an artifact may not be read, the home cannot be written, or the disk is full.
    """
    saved_model, archive = manifest.artifact(SAVED_MODEL), manifest.artifact(MAR)
    with _permission_errors():
        _look_through(version_folder / saved_model.path)
        sources = saved_model.check(version_folder), archive.check(version_folder)
    version = manifest.version
    if not _is_there(saved_model, saved_model_folder(home, model_name) / str(version)):
        tfserving_repository.publish(sources[0], saved_model_folder(home, model_name), version)
    if not _is_there(archive, model_store(home) / f"{model_name}-{version}.mar"):
        torchserve_repository.publish(sources[1], model_store(home), model_name, str(version))


def withdraw_above(version: int, model_name: str, home: Path) -> list[int]:
    """Remove the versions above ``version``, so that both servers take it for the newest.

    Returns:
        the removed versions' numbers, lowest first.

    Raises:
        StorageError: the home cannot be written.
    """
    folders = {
        int(path.name): path
        for path in saved_model_folder(home, model_name).glob("*")
        if path.name.isdigit()
    }
    form = re.compile(re.escape(model_name) + r"-(\d+)\.mar")
    archives = {
        int(found[1]): path
        for path in model_store(home).glob("*.mar")
        if (found := form.fullmatch(path.name))
    }
    higher = sorted(number for number in folders.keys() | archives.keys() if number > version)
    try:
        for number in higher:
            if number in archives:
                archives[number].unlink(missing_ok=True)
            if number in folders:
                _remove_whole(folders[number])
    except OSError as error:
        raise StorageError(
            f"A version above {version} cannot be removed from {home}: {error.strerror or error}.",
            "Make the folder writable.",
        ) from error
    return higher


def saved_model_folder(home: Path, model_name: str) -> Path:
    """TF Serving's repository of one model."""
    return home / "models" / model_name


def model_store(home: Path) -> Path:
    """TorchServe's store of all models."""
    return home / "model-store"


def find_manifest(case_folder: Path, version: str) -> Manifest:
    """The manifest of a version of a case.

    Args:
        case_folder: ``<artifacts>/<case>``.
        version: a number, or ``latest``.

    Raises:
        ArtifactMissing: there is no such version.
        ArtifactCorrupt: its manifest cannot be read.
        StorageError: this user may not read it.
    """
    with _permission_errors():
        numbers = sorted(
            int(path.name)
            for path in _inside(case_folder)
            if path.name.isdigit() and (path / MANIFEST).exists()
        )
        if not numbers:
            raise ArtifactMissing(
                f"There is no exported version in {case_folder}.", "Run `make demo` first."
            )
        number = numbers[-1] if version == LATEST else int(version)
        if number not in numbers:
            raise ArtifactMissing(
                f"There is no version {number} in {case_folder}; there is "
                f"{', '.join(map(str, numbers))}."
            )
        return Manifest.read(case_folder / str(number))


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; prints what was published, or what is wrong and what to do.

    Returns:
        0, or 1 after an error.
    """
    options = _options(arguments)
    case_folder: Path = options.artifacts / options.case
    try:
        manifest = find_manifest(case_folder, options.version)
        publish_version(case_folder / str(manifest.version), manifest, options.case, options.home)
        removed = (
            withdraw_above(manifest.version, options.case, options.home) if options.only else []
        )
    except TwinServeError as error:
        print(error.message, error.hint, sep="\n", file=sys.stderr)
        return error.exit_code
    print(f"{options.case}: version {manifest.version} is published")
    if removed:
        print(f"{options.case}: withdrawn, being newer: {', '.join(map(str, removed))}")
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m serving.publish", description="Put one version of a model into a serving home."
    )
    parser.add_argument("--artifacts", type=Path, required=True, help="holds a folder per case")
    parser.add_argument("--case", required=True, type=_name, help="the case; also the model's name")
    parser.add_argument("--version", default=LATEST, type=_version, help="a number, or latest")
    parser.add_argument("--home", type=Path, required=True, help="the serving home")
    parser.add_argument(
        "--only", action="store_true", help="withdraw newer versions, so that this one is served"
    )
    return parser.parse_args(arguments)


def _version(text: str) -> str:
    if text != LATEST and not re.fullmatch(r"[1-9]\d*", text):
        raise argparse.ArgumentTypeError(f"{text!r} is neither a version's number nor {LATEST!r}")
    return text


def _name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no name of a case")
    return text


def _inside(folder: Path) -> list[Path]:
    """Unlike ``glob``, this says so where the folder may not be read."""
    return list(folder.iterdir()) if folder.is_dir() else []


def _is_there(artifact: Artifact, target: Path) -> bool:
    return target.exists() and digest_of(target) == artifact.sha256


def _remove_whole(folder: Path) -> None:
    """Under a name that is no number first: a server must not find half a version."""
    aside = folder.with_name(f".withdrawn-{folder.name}")
    shutil.rmtree(aside, ignore_errors=True)
    folder.rename(aside)
    shutil.rmtree(aside)


def _look_through(folder: Path) -> None:
    """``rglob``, and so a digest, passes over folders that may not be read."""
    for _ in os.walk(folder, onerror=_raise):
        pass


def _raise(error: OSError) -> None:
    if isinstance(error, PermissionError):
        raise error


@contextmanager
def _permission_errors() -> Iterator[None]:
    try:
        yield
    except PermissionError as error:
        raise StorageError(
            f"{error.filename} cannot be read: {error.strerror}.",
            "In a container, user 1000 reads it: `chmod -R a+rX` the folder of artifacts.",
        ) from error


if __name__ == "__main__":
    sys.exit(main())
