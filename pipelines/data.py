"""Stage: write the case's splits as shards and keep them under their digest."""

from __future__ import annotations

from models.artifact import whole_folder
from models.case import load_parts
from models.dataset import StoredDataset, write_parts
from pipelines.facts import DataFacts
from pipelines.workspace import Workspace, log

FOLDER = "dataset"


def prepare_data(space: Workspace) -> DataFacts:
    """Load, check and write the three splits.

    Raises:
        CaseError: the data disagree with the contract.
        StorageError: they cannot be written.
    """
    folder = space.data_folder()
    if not space.is_complete(folder):
        with whole_folder(folder) as partial:
            write_parts(partial / FOLDER, load_parts(space.case, space.settings.sample))
    stored = StoredDataset.open(folder / FOLDER)
    log.info(f"Data: {', '.join(f'{count:,} {name}' for name, count in stored.rows.items())} rows")
    return DataFacts(digest=stored.digest, path=str(folder / FOLDER), rows=stored.rows)
