"""What a replay found out, span by span: the documented schema of ``timeline.json``."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from models.framework import FrameworkName
from pipelines.fact import Facts
from pipelines.retrain.policy import Policy
from pipelines.tfx.facts import DriftFacts

Line = Literal["frozen", "in service", "candidate"]
"""The first version that was pushed; the one in service when the span arrived; the one trained because of it."""


class PerformanceFacts(Facts):
    """One model on all rows of one span, none of which it was trained on."""

    line: Line
    version: int
    framework: FrameworkName
    roc_auc: float = Field(description="0 to 1; 0.5 is chance")
    log_loss: float = Field(description="Mean cross-entropy, nats a row")


class PredictionDrift(Facts):
    """How far the probabilities on a new span are from those on the span that the model was blessed on."""

    framework: FrameworkName
    score: float = Field(description="Jensen-Shannon divergence of histograms, bits, 0 to 1")


class SpanFacts(Facts):
    """One span: what it showed, and what was done."""

    digest: str = Field(
        description="Of everything that this was made from, the spans before included"
    )
    span: int
    rows: int
    positives: float = Field(description="Share of rows of the label that is scored")
    drift: list[DriftFacts] = Field(
        description="Features, from the rows that the model in service was trained on; empty without one"
    )
    label_drift: DriftFacts | None = Field(
        None,
        description="The same of the label that is scored; it is no feature. Null without a model",
    )
    prediction_drift: list[PredictionDrift]
    performance: list[PerformanceFacts]
    reasons: list[str] = Field(description="Why it was retrained; empty where it was not")
    why_not: str = Field(description="Why it was not retrained; empty where it was")
    trained_on: list[int] = Field([], description="Spans of the candidate")
    candidate: int | None = Field(None, description="The candidate's version")
    compared_with: int | None = Field(
        None, description="The version in service that it was compared with"
    )
    refused: list[str] = Field(
        [], description="Why the candidate was not pushed; empty where it was"
    )
    pushed: bool = False
    in_service: int | None = Field(description="The version in service from now on")
    frozen: int | None = Field(description="The first version that was ever pushed")
    seconds: float

    @property
    def retrained(self) -> bool:
        return self.candidate is not None


def ratio(drift: DriftFacts) -> float:
    """A feature's score in multiples of its threshold: from 1 on it is beyond."""
    return drift.score / drift.threshold


class Timeline(Facts):
    """A whole replay."""

    schema_version: Literal[1] = 1
    case: str
    title: str
    span: str = Field(description="The input that tells spans apart: 'month'")
    created: datetime
    share: str = Field(
        "share of positives", description="What the scored label's share is called, for people"
    )
    sample: int | None = Field(description="Rows of the whole data; null for all")
    first: list[int] = Field(description="The spans that the first model was trained on")
    policy: Policy
    spans: list[SpanFacts]
