"""What a run found out: the documented schema of ``report.json``.

Every stage returns some of these; the report draws them. Units are in the names. ``docs/report.schema.json``
is made from this module (``make schema``), and a test keeps the two together.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import Field

from models.artifact import digest_of_parts
from models.framework import FrameworkName
from pipelines.breakdown.facts import Breakdown
from pipelines.fact import Facts

Protocol = Literal["REST", "gRPC"]


class Outcome(StrEnum):
    """How a check ended."""

    PASS = "pass"
    FAIL = "fail"
    SHORTFALL = "shortfall"
    """A real server falls short of what we ask; reported, not papered over, and not a failed run."""
    WARNING = "warning"
    """Not as it should be, and known to work all the same; not a failed run."""


class Check(Facts):
    """One yes-or-no question of the run, with its figure."""

    stage: str = Field(description="Stage that asked: train, verify, check, measure ...")
    subject: str = Field(
        description="What was judged: an artifact, a server and protocol, a framework"
    )
    question: str = Field(description="What was asked, as a short statement that should be true")
    outcome: Outcome
    figure: str = Field(description="What was found, with unit")
    limit: str = Field("", description="What it was held to")
    detail: str = Field("", description="Error name and message where it failed, for people")


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


class ServerFacts(Facts):
    """One server as it was seen in this run."""

    name: str
    label: str = Field(
        description="What exactly ran: 'TorchServe 0.12.0', 'TF Serving API (embedded)'"
    )
    framework: FrameworkName
    where: str = Field(description="'process' or 'container'")
    ready_seconds: float = Field(description="From start to the first correct answer")
    idle_bytes: int | None = Field(description="Memory of the whole process tree before load")
    loaded_bytes: int | None = Field(description="The same after load")
    memory_kind: str = Field("", description="'PSS' or 'RSS' of processes, 'cgroup' of a container")
    cpu_ms_per_answer: float | None = Field(
        None,
        description="Processor time under load, user and system, of everything that it runs, over "
        "all answers of both protocols; the client's own is not in it",
    )


class LatencyFacts(Facts):
    """One closed-loop client after warm-up, one row a request."""

    server: str
    protocol: Protocol
    requests: int
    wrong: int = Field(description="Answers that were not correct; more than 0 voids the figures")
    p50_ms: float
    p90_ms: float
    p99_ms: float


class ThroughputFacts(Facts):
    """Closed-loop clients, one row a request."""

    server: str
    protocol: Protocol
    clients: int
    requests: int
    seconds: float
    wrong: int
    requests_per_second: float


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


class StageTiming(Facts):
    """One stage's own time."""

    stage: str
    seconds: float
    cached: bool = False
    started: float = Field(0.0, description="Seconds after the first stage's start")
    after: list[str] = Field([], description="Stages that it waits for")


class Timings(Facts):
    """Where the run's time went."""

    stages: list[StageTiming]
    wall_seconds: float = Field(description="The flow, first stage's start to last stage's end")
    critical_path_seconds: float = Field(
        description="Longest chain of stages that wait for one another"
    )


class DataFacts(Facts):
    """The data set of a run."""

    digest: str = Field(description="sha256 over all splits")
    path: str = Field(description="The dataset.npz")
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


class ExportFacts(Facts):
    """What one framework exported."""

    framework: FrameworkName
    path: str = Field(description="Folder with the files")
    input_digest: str
    label: str
    artifacts: list[ArtifactFacts]


class Findings(Facts):
    """What a stage that judges has to say."""

    checks: list[Check] = []
    parity: list[ParityRow] = []
    malformed: list[MalformedFacts] = []
    quality: list[QualityFacts] = []
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
            ready_seconds={k: v for each in everything for k, v in each.ready_seconds.items()},
        )


class Trainings(Facts):
    """Both trainings of a version, and the proof that they started as the same model."""

    trainings: list[TrainingFacts]
    same_model: Findings


class Measurements(Facts):
    """What the stage that measures has to say."""

    measured: datetime
    servers: list[ServerFacts] = []
    latency: list[LatencyFacts] = []
    throughput: list[ThroughputFacts] = []


class ContractTensor(Facts):
    """One input or output of the model, for the report."""

    name: str
    dtype: str
    shape: str = Field(description="With the batch axis: '(N, 8, 8, 1)'")
    meaning: str


class Environment(Facts):
    """Where the run took place, so that it can be repeated."""

    hardware: dict[str, str]
    versions: dict[str, str]
    seeds: dict[str, int]
    git_commit: str
    data_digest: str
    hyperparameters: dict[str, str]


class ValidationFacts(Facts):
    """What TFX says of the rows, and what it computed from them."""

    constants: str = Field(description="The constants.json that it computed")
    digest: str = Field(description="Of the spans and of their splits, as the lineage knows them")
    spans: str = Field(description="Folder of the spans")
    numbers: list[int] = Field(description="Of the spans")
    findings: Findings


class EvaluationFacts(Facts):
    """What TFMA says of both models."""

    blessings: dict[FrameworkName, int] = Field(
        description="By framework that is blessed: its blessing's id in the lineage"
    )
    findings: Findings


class RunReport(Facts):
    """Everything that one run found out."""

    schema_version: Literal[1] = 1
    case: str
    title: str
    version: int
    created: datetime
    passed: bool = Field(description="No check failed; shortfalls do not count")
    measured: datetime | None = Field(
        description="When latency, throughput and memory were measured; older than 'created' when reused"
    )
    inputs: list[ContractTensor]
    outputs: list[ContractTensor]
    labels: list[str]
    checks: list[Check]
    parity: list[ParityRow]
    training: list[TrainingFacts]
    artifacts: list[ArtifactFacts]
    servers: list[ServerFacts]
    latency: list[LatencyFacts]
    throughput: list[ThroughputFacts]
    malformed: list[MalformedFacts]
    quality: list[QualityFacts] = []
    absent: list[AbsentFormat] = []
    breakdown: Breakdown = Field(
        Breakdown(), description="Where the cost comes from: what the figures above mix"
    )
    timings: Timings
    environment: Environment
