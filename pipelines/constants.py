"""Stage: the constants of preprocessing, computed once over the train split, for both networks."""

from __future__ import annotations

import shutil
from pathlib import Path

from models.artifact import digest_of, whole_folder
from models.constants import FILE, compute_constants, read_constants, write_constants
from models.dataset import StoredDataset
from pipelines.facts import DataFacts
from pipelines.workspace import Workspace, log


def prepare_constants(space: Workspace, data: DataFacts, computed: Path | None = None) -> DataFacts:
    """The constants of a case that asks for them.

    Args:
        space: the case.
        data: its splits.
        computed: a ``constants.json`` that somebody else has computed over these rows; None has numpy do it.

    Returns:
        the same facts, with the constants; unchanged where the case needs none.

    Raises:
        CaseError: a column has no value at all, or ``computed`` lacks one.
        ArtifactCorrupt: ``computed`` cannot be read.
        StorageError: they cannot be written.
    """
    if not space.case.constants:
        return data
    computed = computed or space.settings.constants
    folder = space.constants_folder(data.digest, computed)
    if not space.is_complete(folder):
        with whole_folder(folder) as partial:
            _fill(space, data, computed, partial / FILE)
    constants = read_constants(folder / FILE, space.case.contract)
    log.info(f"Constants: {constants['source']}, over {constants['rows']:,} rows")
    path = str(folder / FILE)
    return data.model_copy(update={"constants": path, "constants_digest": digest_of(folder / FILE)})


def _fill(space: Workspace, data: DataFacts, computed: Path | None, target: Path) -> None:
    contract = space.case.contract
    if computed:
        read_constants(computed, contract)
        shutil.copyfile(computed, target)
    else:
        train = StoredDataset.open(Path(data.path)).train
        write_constants(target, compute_constants(contract, train, data.digest))
