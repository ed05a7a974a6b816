"""What the stages that judge found: checks, parity, quality, malformed requests, a switch of versions."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from models.framework import FrameworkName
from pipelines.fact import Facts
from pipelines.facts.base import Check, Outcome, Protocol
from pipelines.facts.making import TrainingFacts
from pipelines.tfx.facts import SlicesFacts, StatisticsFacts


class ParityRow(Facts):
    """One comparison of a candidate with a reference."""

    stage: Literal["same model", "verify", "check", "cross-framework"]
    subject: str = Field(description="Candidate: 'SavedModel', 'TorchServe · gRPC', ...")
    reference: str = Field(description="What it was compared with: 'Keras in memory', ...")
    batch: str = Field(description="'1', '7', 'all', or 'edge'")
    rows: int
    max_abs: float
    max_rel: float
    label_agreement: float = Field(description="Share of rows with the same label, 0 to 1")
    accuracy: float | None = Field(
        description="The candidate's, 0 to 1; null where labels are unknown"
    )
    reference_accuracy: float | None
    atol: float | None = Field(description="Null where only labels and accuracy are compared")
    rtol: float
    min_label_agreement: float = Field(1.0, description="Bound of label_agreement")
    max_accuracy_drop: float = Field(
        0.0, description="Bound of reference_accuracy - accuracy, where both are known"
    )
    passed: bool
    error: str = Field("", description="Name and message of the error that ended the comparison")


class ReliabilityFacts(Facts):
    """A tenth of the test split, by probability."""

    predicted: float = Field(description="Mean probability of the positive class")
    observed: float = Field(description="Share of rows that are of it")
    rows: int


class QualityFacts(Facts):
    """How good one model's probabilities of the positive class are, on the whole test split."""

    subject: str = Field(description="'Keras', 'PyTorch', or what the baseline is")
    framework: FrameworkName | None = Field(description="Null for the baseline")
    roc_auc: float = Field(description="0 to 1; 0.5 is chance")
    pr_auc: float = Field(description="Average precision, 0 to 1; positives / rows is chance")
    log_loss: float = Field(description="Mean cross-entropy, nats a row")
    calibration_error: float = Field(description="Expected calibration error over reliability")
    reliability: list[ReliabilityFacts]
    rows: int
    positives: int
    seconds: float = Field(description="Training")


class MalformedFacts(Facts):
    """One malformed request to one endpoint, and the good request after it."""

    server: str
    protocol: Protocol
    request: str = Field(description="'broken JSON', 'wrong rank', ...")
    status: str = Field(
        description="HTTP status or gRPC status name; 'n/a' where it cannot be sent"
    )
    message: str = Field(description="What the server said, cut to 300 characters")
    outcome: Outcome
    recovered: bool = Field(description="Whether the next good request was answered correctly")


class SwitchFacts(Facts):
    """One endpoint while its server exchanged one version for another, asked without a pause."""

    server: str
    protocol: Protocol
    requests: int
    old: int = Field(description="Answers of the version before")
    new: int = Field(description="Answers of the new version")
    either: int = Field(description="Answers to rows that both versions answer alike")
    failed: int = Field(description="Requests that got no answer, or an error")
    wrong: int = Field(description="Answers of neither version")
    switch_seconds: float | None = Field(
        description="From telling the server of the new version to the last answer of the old one"
    )
    longest_ms: float = Field(description="The slowest answer's latency")
    first_problem: str = Field("", description="What first went wrong, for people")


class Findings(Facts):
    """What a stage that judges has to say."""

    checks: list[Check] = []
    parity: list[ParityRow] = []
    malformed: list[MalformedFacts] = []
    quality: list[QualityFacts] = []
    statistics: StatisticsFacts | None = None
    slices: SlicesFacts | None = None
    ready_seconds: dict[str, float] = Field(
        {}, description="By server: from start to the first correct answer"
    )

    def joined(self, *others: Findings) -> Findings:
        """These findings and the others', in that order."""
        everything = (self, *others)
        return Findings(
            checks=[check for each in everything for check in each.checks],
            parity=[row for each in everything for row in each.parity],
            malformed=[row for each in everything for row in each.malformed],
            quality=[row for each in everything for row in each.quality],
            statistics=next((each.statistics for each in everything if each.statistics), None),
            slices=next((each.slices for each in everything if each.slices), None),
            ready_seconds={k: v for each in everything for k, v in each.ready_seconds.items()},
        )


class Trainings(Facts):
    """Both trainings of a version, and the proof that they started as the same model."""

    trainings: list[TrainingFacts]
    same_model: Findings


class ValidationFacts(Facts):
    """What TFX says of the rows, and what it computed from them."""

    constants: str = Field(description="The constants.json that it computed")
    digest: str = Field(description="Of the spans and of their splits, as the lineage knows them")
    spans: str = Field(description="Folder of the spans")
    numbers: list[int] = Field(description="Of the spans")
    trained_on: list[int] = Field([], description="Of the train split's spans")
    statistics: str = Field("", description="TFDV's statistics of the train split")
    findings: Findings


class EvaluationFacts(Facts):
    """What TFMA says of both models."""

    blessings: dict[FrameworkName, int] = Field(
        description="By framework that is blessed: its blessing's id in the lineage"
    )
    compared_with: int | None = Field(
        None,
        description="The version in service that both were compared with; null for a first one",
    )
    findings: Findings
