"""What everything is held against: a trained model's own answers, and the rows that they answer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from models.artifact import Manifest, digest_of
from models.constants import FILE as CONSTANTS
from models.contract import Tensors
from models.dataset import Dataset, Split, StoredDataset
from models.errors import ArtifactCorrupt, ArtifactMissing
from models.framework import TITLES, FrameworkName
from models.verbs import REFERENCE, read_reference
from pipelines.data import FOLDER
from pipelines.workspace import Workspace


@dataclass(frozen=True)
class Reference:
    """The answers of one framework's trained model in memory.

    Attributes:
        name: for the report.
        test: outputs on the rows of the test split that are compared.
        edge: outputs on the contract's edge inputs.
        split: the rows of the test split that are compared, inputs and true labels.
    """

    name: str
    test: Tensors
    edge: Tensors
    split: Split

    @classmethod
    def of(cls, space: Workspace, framework: FrameworkName, manifest: Manifest) -> Reference:
        """Read what training left.

        Raises:
            ArtifactMissing: the training or the data set that the version came from is gone.
            ArtifactCorrupt: a file cannot be read.
        """
        trained = training_path(space, framework, manifest)
        return cls(
            f"{TITLES[framework]} in memory",
            read_reference(trained, "test"),
            read_reference(trained, "edge"),
            space.case.compared(StoredDataset.open(dataset_path(space, manifest)).test),
        )


def test_split(space: Workspace, manifest: Manifest) -> Split:
    """The whole test split of the data set that a version was made from.

    Raises:
        ArtifactMissing: it is gone.
    """
    return Dataset.read_split(dataset_path(space, manifest), "test")


def constants_path(space: Workspace, manifest: Manifest) -> str:
    """The constants that a version's networks were made with; empty where the case needs none.

    Raises:
        ArtifactMissing: they are gone.
        ArtifactCorrupt: they are others.
    """
    if not manifest.constants:
        return ""
    path = space.version_folder(manifest.version) / CONSTANTS
    if digest_of(_present(path, manifest)) != manifest.constants:
        raise ArtifactCorrupt(
            f"{path} is not what the manifest says.", "Run `make export FRESH=1` to make it again."
        )
    return str(path)


def dataset_path(space: Workspace, manifest: Manifest) -> Path:
    """The data set that a version was made from.

    Raises:
        ArtifactMissing: it is gone.
    """
    return _present(space.home / "data" / manifest.data / FOLDER, manifest)


def training_path(space: Workspace, framework: FrameworkName, manifest: Manifest) -> Path:
    """The folder of the training that a version was exported from.

    Raises:
        ArtifactMissing: it is gone.
    """
    folder = space.home / "training" / manifest.training[framework]
    _present(folder / REFERENCE, manifest)
    return folder


def _present(path: Path, manifest: Manifest) -> Path:
    if not path.exists():
        raise ArtifactMissing(
            f"Version {manifest.version} of {manifest.case!r} was made from {path}, which is gone.",
            "Run `make export FRESH=1` to make it again.",
        )
    return path
