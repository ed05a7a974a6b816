"""The whole run: ``report.json``."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from pipelines.breakdown.facts import Breakdown
from pipelines.fact import Facts
from pipelines.facts.base import Check
from pipelines.facts.claims import ClaimFacts
from pipelines.facts.judging import MalformedFacts, ParityRow, QualityFacts
from pipelines.facts.load import LoadFacts
from pipelines.facts.making import AbsentFormat, ArtifactFacts, TrainingFacts
from pipelines.facts.measuring import ServerFacts
from pipelines.tfx.facts import SlicesFacts, StatisticsFacts


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


class RunReport(Facts):
    """Everything that one run found out."""

    schema_version: Literal[2] = 2
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
    load: LoadFacts | None = Field(
        None,
        description="MLPerf's scenarios, throughput, sweeps and ratios; null where nothing was measured",
    )
    claims: list[ClaimFacts] = Field(
        [], description="What the ratios of the load support in words, and what they do not"
    )
    malformed: list[MalformedFacts]
    quality: list[QualityFacts] = []
    statistics: StatisticsFacts | None = Field(
        None, description="Of the rows; null for a case without spans, and where TFX is off"
    )
    slices: SlicesFacts | None = Field(
        None, description="Both models slice by slice; null likewise"
    )
    absent: list[AbsentFormat] = []
    breakdown: Breakdown = Field(
        Breakdown(), description="Where the cost comes from: what the figures above mix"
    )
    timings: Timings
    environment: Environment
