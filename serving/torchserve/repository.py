"""``.mar`` archives and the model store that TorchServe reads them from.

An archive is laid out by the torch-model-archiver itself, in a process of its own: it sets up the
root logger, and it empties ``$TMPDIR/<model name>``, which must not be anybody else's. Packing its
folder is ours, so that equal inputs give equal bytes: fixed timestamps, sorted names, nothing
compressed (zlib's output differs between versions).
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from models.contract import Contract
from models.errors import ArtifactCorrupt, ArtifactError, ArtifactMissing, StorageError

log = logging.getLogger(__name__)

HANDLER = Path(__file__).with_name("handler.py")
EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time a zip file can state
MANIFEST = "MAR-INF/MANIFEST.json"


def pack(
    torchscript: Path, contract: Contract, model_name: str, version: str, target: Path
) -> Path:
    """Make a ``.mar`` that holds the TorchScript file, our handler and the contract.

    Args:
        torchscript: the scripted module; ``forward`` takes the contract's inputs by position and
            returns ``Dict[str, Tensor]``.
        contract: written into the archive as ``contract.json``.
        model_name: what TorchServe calls the model, unless told otherwise at registration.
        version: what TorchServe reports as the model's version.
        target: the archive to write; it appears whole or not at all.

    Returns:
        ``target``

    Raises:
        ArtifactMissing: there is no such TorchScript file.
        ArtifactError: the archiver refuses (a model name that it does not like, for example).
        StorageError: the archive cannot be written.
    """
    if not torchscript.is_file():
        raise ArtifactMissing(
            f"There is no TorchScript file {torchscript}.", "Run the export first."
        )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".mar-") as scratch:
            laid_out = _lay_out(Path(scratch), torchscript, contract, model_name, version)
            packed = Path(scratch) / "packed.mar"
            _zip(laid_out, packed)
            packed.replace(target)
    except OSError as error:
        raise _not_written(target, error) from error
    return target


def publish(mar: Path, store: Path, model_name: str, version: str) -> Path:
    """Put an archive into a model store; TorchServe serves the highest version at its next start.

    Args:
        mar: the archive.
        store: the folder; created if missing.
        model_name: the name it is served under.
        version: a whole number, as TF Serving's version folders are.

    Returns:
        ``<store>/<model name>-<version>.mar``

    Raises:
        ArtifactMissing: there is no such archive.
        ArtifactCorrupt: it is cut off or damaged. TorchServe would take it for a folder and complain
            of a module without a name.
        ArtifactError: the version is not a whole number.
        StorageError: the store cannot be written.
    """
    if not mar.is_file():
        raise ArtifactMissing(f"There is no archive {mar}.", "Run the export first.")
    if not re.fullmatch(r"\d+", version):
        raise ArtifactError(f"A model version must be a whole number, not {version!r}.")
    _check_whole(mar)
    target = store / f"{model_name}-{version}.mar"
    beside = target.with_suffix(f".{os.getpid()}.tmp")
    try:
        store.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(mar, beside)
        beside.replace(target)
    except OSError as error:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        raise _not_written(target, error) from error
    return target


def newest(store: Path, model_name: str) -> Path:
    """The archive of the model's highest version; a damaged one is passed over for a whole one below it.

    So a damaged version that somebody put beside a good one does not keep a restart from serving.

    Raises:
        ArtifactMissing: the store holds none.
    """
    form = re.compile(re.escape(model_name) + r"-(\d+)\.mar")
    versions = {
        int(match[1]): path for path in store.glob("*.mar") if (match := form.fullmatch(path.name))
    }
    if not versions:
        raise ArtifactMissing(
            f"The model store {store} holds no archive of {model_name!r}.", "Run the export first."
        )
    ordered = [versions[number] for number in sorted(versions, reverse=True)]
    return next((path for path in ordered if _is_whole(path)), ordered[0])


def _is_whole(mar: Path) -> bool:
    try:
        _check_whole(mar)
    except ArtifactCorrupt as error:
        log.warning("%s", error.message)
        return False
    return True


def _check_whole(mar: Path) -> None:
    try:
        with zipfile.ZipFile(mar) as archive:
            archive.getinfo(MANIFEST)
            damaged = archive.testzip()
    except (zipfile.BadZipFile, KeyError) as error:
        raise ArtifactCorrupt(f"{mar} is no .mar archive: {error}.", "Export again.") from error
    if damaged:
        raise ArtifactCorrupt(f"{damaged} in {mar} is damaged.", "Export again.")


def _lay_out(
    scratch: Path, torchscript: Path, contract: Contract, model_name: str, version: str
) -> Path:
    """The archive's files in a folder."""
    contract_file = scratch / "contract.json"
    contract_file.write_text(json.dumps(asdict(contract), indent=2, sort_keys=True))
    (scratch / "tmp").mkdir()
    (scratch / "out").mkdir()
    options = {
        "model-name": model_name,
        "version": version,
        "serialized-file": str(torchscript),
        "handler": str(HANDLER),
        "extra-files": str(contract_file),
        "export-path": str(scratch / "out"),
        "archive-format": "no-archive",
    }
    command = [sys.executable, "-m", "model_archiver.model_packaging"]
    command += [part for name, value in options.items() for part in (f"--{name}", value)]
    done = subprocess.run(
        command,
        env={**os.environ, "TMPDIR": str(scratch / "tmp")},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise ArtifactError(f"torch-model-archiver cannot pack {model_name!r}: {reason}")
    _fix_date(scratch / "out" / model_name / MANIFEST)
    return scratch / "out" / model_name


def _fix_date(manifest: Path) -> None:
    stated = json.loads(manifest.read_text())
    stated["createdOn"] = "01/01/1980 00:00:00"
    manifest.write_text(json.dumps(stated, indent=2, sort_keys=True))


def _zip(folder: Path, target: Path) -> None:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for path in files:
            entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), EPOCH)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, path.read_bytes())


def _not_written(target: Path, error: OSError) -> StorageError:
    return StorageError(
        f"{target} cannot be written: {error.strerror or error}.",
        "Free some space, or choose a folder that can be written.",
    )
