"""What a run found out: the documented schema of ``report.json``.

Every stage returns some of these; the report draws them. Units are in the names. ``docs/report.schema.json``
is made from this package (``make schema``), and a test keeps the two together. A module for each kind of
stage: ``making`` (data, training, export), ``judging`` (checks), ``measuring`` and ``load`` (figures), ``pushing``
(blessings), ``run`` (all of it).
"""

from __future__ import annotations

from pipelines.fact import Facts
from pipelines.facts.base import (
    Check,
    Outcome,
    Protocol,
)
from pipelines.facts.claims import ClaimFacts, Ruling
from pipelines.facts.judging import (
    EvaluationFacts,
    Findings,
    MalformedFacts,
    ParityRow,
    QualityFacts,
    ReliabilityFacts,
    SwitchFacts,
    Trainings,
    ValidationFacts,
)
from pipelines.facts.load import (
    ClientFacts,
    ConditionsFacts,
    CurvePoint,
    KneeFacts,
    LoadedFacts,
    LoadFacts,
    PercentileFacts,
    Quantity,
    RatioFacts,
    Scenario,
    ScenarioFacts,
    ThroughputFacts,
    Validity,
    WindowFacts,
)
from pipelines.facts.making import (
    AbsentFormat,
    ArtifactFacts,
    DataFacts,
    Epoch,
    ExportFacts,
    InitialFacts,
    TrainingFacts,
)
from pipelines.facts.measuring import (
    Measurements,
    ServerFacts,
)
from pipelines.facts.pushing import Blessings, InfraFacts, PushFacts, PushRecord
from pipelines.facts.run import (
    ContractTensor,
    Environment,
    RunReport,
    StageTiming,
    Timings,
)

__all__ = [
    "AbsentFormat",
    "ArtifactFacts",
    "Blessings",
    "Check",
    "ClaimFacts",
    "ClientFacts",
    "ConditionsFacts",
    "ContractTensor",
    "CurvePoint",
    "DataFacts",
    "Environment",
    "Epoch",
    "EvaluationFacts",
    "ExportFacts",
    "Facts",
    "Findings",
    "InfraFacts",
    "InitialFacts",
    "KneeFacts",
    "LoadFacts",
    "LoadedFacts",
    "MalformedFacts",
    "Measurements",
    "Outcome",
    "ParityRow",
    "PercentileFacts",
    "Protocol",
    "PushFacts",
    "PushRecord",
    "QualityFacts",
    "Quantity",
    "RatioFacts",
    "ReliabilityFacts",
    "Ruling",
    "RunReport",
    "Scenario",
    "ScenarioFacts",
    "ServerFacts",
    "StageTiming",
    "SwitchFacts",
    "ThroughputFacts",
    "Timings",
    "TrainingFacts",
    "Trainings",
    "ValidationFacts",
    "Validity",
    "WindowFacts",
]
