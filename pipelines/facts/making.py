"""What data, training and export found: how a version came to be."""

from __future__ import annotations

from pydantic import Field

from models.artifact import digest_of_parts
from models.framework import FrameworkName
from pipelines.fact import Facts


class DataFacts(Facts):
    """The data set of a run."""

    digest: str = Field(description="sha256 over all splits")
    path: str = Field(description="The folder of shards")
    rows: dict[str, int] = Field(description="Rows by split")
    constants: str = Field("", description="The constants.json; empty where the case needs none")
    constants_digest: str = Field("", description="sha256 of it")

    @property
    def basis(self) -> str:
        """Digest of all that networks are made from: the rows, and the constants where there are any."""
        parts = (self.digest, self.constants_digest)
        return digest_of_parts(*parts) if self.constants_digest else self.digest


class InitialFacts(Facts):
    """One framework's network before training."""

    framework: FrameworkName
    path: str = Field(description="Folder with the initial weights and the answers before training")
    input_digest: str
    parameters: int


class Epoch(Facts):
    """One pass over the training split. Losses are mean cross-entropy in nats per row."""

    number: int
    loss: float
    accuracy: float
    validation_loss: float
    validation_accuracy: float
    seconds: float


class TrainingFacts(Facts):
    """One framework's training."""

    framework: FrameworkName
    label: str = Field(description="'Keras 3.15.1 on TensorFlow 2.21.0'")
    epochs: list[Epoch]
    parameters: int
    rows_per_second: float
    test_accuracy: float
    confusion: list[list[int]] = Field(
        description="[true class][predicted class] on the test split"
    )
    input_digest: str
    cached: bool = Field(
        description="Whether this run reused an earlier training of the same inputs"
    )


class AbsentFormat(Facts):
    """A format that the case does without."""

    format: str
    reason: str


class ArtifactFacts(Facts):
    """One exported file or folder."""

    framework: FrameworkName
    format: str = Field(
        description="'SavedModel', 'TFLite float32', 'TFLite int8', 'TorchScript', 'MAR'"
    )
    path: str = Field(description="Relative to the version's folder")
    bytes: int
    sha256: str


class ExportFacts(Facts):
    """What one framework exported."""

    framework: FrameworkName
    path: str = Field(description="Folder with the files")
    input_digest: str
    label: str
    artifacts: list[ArtifactFacts]
