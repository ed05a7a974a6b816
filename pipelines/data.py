"""Stage: write the case's splits as shards and keep them under their digest."""

from __future__ import annotations

from pathlib import Path

from models.artifact import whole_folder
from models.case import load_parts
from models.dataset import Parts, StoredDataset, write_parts
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
            write_parts(partial / FOLDER, _parts(space))
    stored = StoredDataset.open(folder / FOLDER)
    log.info(f"Data: {', '.join(f'{count:,} {name}' for name, count in stored.rows.items())} rows")
    return DataFacts(digest=stored.digest, path=str(folder / FOLDER), rows=stored.rows)


def _parts(space: Workspace) -> Parts:
    """All rows as the case splits them; or, of those, the workspace's spans."""
    if space.spans is None:
        return load_parts(space.case, space.settings.sample)
    whole = StoredDataset.open(Path(prepare_data(space.of_spans(None).reusing()).path))
    return space.spans.cut(whole, space.case.span)
