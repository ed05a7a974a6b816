"""What TFX found out, for ``report.json``: statistics and drift of the rows, and both models slice by slice."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from models.framework import FrameworkName
from pipelines.fact import Facts

Metric = Literal["roc_auc", "pr_auc", "log_loss", "calibration"]


class SplitFacts(Facts):
    """One split of the rows."""

    name: str = Field(description="'train', 'validation' or 'test'")
    spans: list[int]
    rows: int


class ColumnFacts(Facts):
    """One feature in one split. What a feature of text has not, or one without any value, is null."""

    split: str
    count: int = Field(description="Rows with a value")
    missing: float = Field(description="Share of rows without one, 0 to 1")
    mean: float | None = None
    std: float | None = None
    min: float | None = None
    median: float | None = None
    max: float | None = None
    zeros: float | None = Field(None, description="Share of all rows that are 0")
    distinct: int | None = Field(None, description="Different texts")
    shares: list[float] = Field(
        description="Share of all rows in each bin of the feature, or with each of its values"
    )


class FeatureFacts(Facts):
    """One feature, in every split on the same bins, so that they can be laid over one another."""

    name: str
    meaning: str
    edges: list[float] = Field(
        description="Of the bins, one more than there are; the last bin is closed. Empty for text"
    )
    values: list[str] = Field(description="The commonest texts; empty for numbers")
    columns: list[ColumnFacts] = Field(description="In the order of the splits")


class DriftFacts(Facts):
    """How far one feature has moved from one span to the next."""

    feature: str
    span: int
    against: str = Field(description="'span 3'")
    measure: str = Field(description="'jensen_shannon_divergence' for numbers, 'l_infty' for text")
    score: float = Field(description="0 (the same) to 1")
    threshold: float = Field(description="The schema's")
    exceeded: bool


class StatisticsFacts(Facts):
    """The rows of a case with spans, as TFDV saw them."""

    span: str = Field(description="Name of the feature whose number names the span")
    splits: list[SplitFacts]
    features: list[FeatureFacts]
    drift: list[DriftFacts]


class MetricFacts(Facts):
    """One metric of one model in one slice."""

    value: float | None = Field(description="Null where it has none")
    low: float | None = Field(description="Lower end of the 95 % bootstrap interval")
    high: float | None = Field(description="Upper end")
    in_service: float | None = Field(description="Of the model in service; null without one")


class SliceFacts(Facts):
    """One model in one slice."""

    column: str = Field(description="Empty for all rows")
    value: str
    rows: int
    positives: float = Field(description="Share of rows, 0 to 1")
    metrics: dict[Metric, MetricFacts]


class MissedFacts(Facts):
    """A threshold that one model missed in one slice."""

    column: str = Field(description="Empty for all rows")
    value: str
    metric: str
    figure: float | None
    threshold: str = Field(description="In words: 'at least 0.52'")
    change: bool = Field(description="Whether it is one against the model in service")


class ModelSlices(Facts):
    """What TFMA says of one model."""

    framework: FrameworkName
    blessed: bool
    slices: list[SliceFacts]
    missed: list[MissedFacts]


class BoundFacts(Facts):
    """One threshold."""

    scope: Literal["overall", "slices", "change", "change_slices"] = Field(
        description="All rows, every slice, or either against the model in service"
    )
    metric: Metric
    min: float | None = None
    max: float | None = None
    worse_by_at_most: float | None = None


class SlicesFacts(Facts):
    """Both models on the same rows, sliced, as TFMA judged them."""

    rows: int
    columns: list[str] = Field(description="Sliced by")
    fewest_rows: int = Field(description="A slice of fewer is not judged")
    bounds: list[BoundFacts]
    too_small: dict[str, int] = Field(description="Rows of the slices that are not judged")
    compared_with_service: bool
    models: list[ModelSlices]
