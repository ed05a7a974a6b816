"""What infra validation and the push found: blessings, and what is in service."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from models.framework import FrameworkName
from pipelines.fact import Facts
from pipelines.facts.judging import EvaluationFacts, Findings, ValidationFacts


class InfraFacts(Facts):
    """What starting the candidate in both servers, as production starts them, has shown."""

    blessings: dict[str, int] = Field(
        description="By server that is blessed: its InfraBlessing's id in the lineage"
    )
    findings: Findings


class Blessings(Facts):
    """Everything that a push asks for; kept beside the version."""

    validated: ValidationFacts
    evaluated: EvaluationFacts
    infra: InfraFacts
    failed: list[str] = Field([], description="Checks of the run that said no, for people")


class PushFacts(Facts):
    """Whether a version was pushed into both servers' folders."""

    version: int
    pushed: bool
    replaced: int | None = Field(description="The version that was in service before")
    in_service: int | None = Field(description="The version that is in service now")
    missing: list[str] = Field(description="Blessings that it lacks, in words")
    findings: Findings


class PushRecord(Facts):
    """``push.json`` beside the files that were pushed."""

    case: str
    version: int
    pushed: datetime
    replaced: int | None = Field(description="The version that was in service before")
    training: dict[str, str] = Field(description="By framework: the folder of its training")
    trained_on: list[int] = Field(description="Spans")
    artifacts: dict[str, str] = Field({}, description="By format: sha256 of what was pushed")
    evaluation_blessings: dict[FrameworkName, int] = Field(description="Ids in the lineage")
    infra_blessings: dict[str, int] = Field(description="By server: ids in the lineage")
