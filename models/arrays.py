"""Arrays by name in one ``.npz`` file, never pickled: how tensors cross from one process to another."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from models.contract import Tensors
from models.errors import ArtifactCorrupt


def write_arrays(path: Path, arrays: Tensors) -> None:
    """Write one uncompressed ``.npz``."""
    np.savez(path, **arrays)  # type: ignore[arg-type]  # the stubs fear a key named allow_pickle


def read_arrays(path: Path, prefix: str = "") -> dict[str, np.ndarray]:
    """Read what ``write_arrays`` wrote.

    Args:
        path: the file.
        prefix: only arrays whose names begin with it; the others are not even read.

    Raises:
        ArtifactCorrupt: the file is not such a file.
    """
    try:
        # Opened here: numpy leaves a file open that turns out to be none of its own.
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            names = [name for name in stored.files if name.startswith(prefix)]
            return {name: stored[name] for name in names}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ArtifactCorrupt(
            f"{path} cannot be read: {error}.", "Run `make demo FRESH=1` to make it again."
        ) from error
