"""Stage: make the case's splits and keep them under their digest."""

from __future__ import annotations

from models.artifact import whole_folder
from models.case import load_dataset
from models.dataset import Dataset
from pipelines.facts import DataFacts
from pipelines.workspace import Workspace, log

FILE = "dataset.npz"


def prepare_data(space: Workspace) -> DataFacts:
    """Load, check and write the three splits.

    Raises:
        CaseError: the data disagree with the contract.
        StorageError: they cannot be written.
    """
    folder = space.data_folder()
    if space.is_complete(folder):
        dataset = Dataset.read(folder / FILE)
    else:
        dataset = load_dataset(space.case, space.settings.sample)
        with whole_folder(folder) as partial:
            dataset.write(partial / FILE)
    rows = {name: len(getattr(dataset, name)) for name in Dataset.SPLITS}
    log.info(f"Data: {', '.join(f'{count:,} {name}' for name, count in rows.items())} rows")
    return DataFacts(digest=dataset.digest(), path=str(folder / FILE), rows=rows)
