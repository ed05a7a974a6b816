"""Both models slice by slice, as TFMA judged them: who is blessed, where it is worst, what was missed."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pipelines.report import figures
from pipelines.report.sides import FRAMEWORKS
from pipelines.tfx.facts import (
    Metric,
    MetricFacts,
    MissedFacts,
    ModelSlices,
    SliceFacts,
    SlicesFacts,
)

ALL = "all rows"
TITLES: dict[Metric, str] = {
    "roc_auc": "ROC AUC",
    "pr_auc": "PR AUC",
    "log_loss": "Log loss",
    "calibration": "Calibration",
}
Key = tuple[str, str]


@dataclass(frozen=True)
class MissedLine:
    """A threshold that a model missed."""

    framework: str
    model: str
    where: str
    said: str


@dataclass(frozen=True)
class Summary:
    """One model: whether it is blessed, and its lowest slice."""

    framework: str
    name: str
    blessed: bool
    said: str


def summaries(facts: SlicesFacts) -> list[Summary]:
    return [_summary(model) for model in facts.models]


def _summary(model: ModelSlices) -> Summary:
    slices = [each for each in model.slices if each.column]
    missed = {(each.column, each.value) for each in model.missed}
    said = f"{figures.count(len(slices), 'slice')} judged"
    if missed:
        said += f", a threshold missed in {len(missed)}"
    scored = [each for each in slices if known(each, "roc_auc")]
    if scored:
        worst = min(scored, key=lambda each: each.metrics["roc_auc"].value or math.inf)
        auc = worst.metrics["roc_auc"]
        said += f"; lowest ROC AUC {written(auc)} at {worst.column} {worst.value}"
    return Summary(model.framework, FRAMEWORKS[model.framework], model.blessed, said)


def missed_lines(facts: SlicesFacts) -> list[MissedLine]:
    """Every missed threshold, by model."""
    return [
        MissedLine(
            model.framework,
            FRAMEWORKS[model.framework],
            f"{each.column} {each.value}" if each.column else ALL,
            _said(each),
        )
        for model in facts.models
        for each in model.missed
    ]


def _said(missed: MissedFacts) -> str:
    title = TITLES.get(missed.metric, missed.metric)  # type: ignore[call-overload]
    figure = figures.UNKNOWN if missed.figure is None else f"{missed.figure:.3f}"
    found = f"changed by {figure}" if missed.change else figure
    return f"{title} {found}, held to {missed.threshold}" if title else missed.threshold


def too_small(facts: SlicesFacts) -> str:
    """The slices that nobody judged: ``carrier HA 31, hour 23 12``."""
    return ", ".join(
        f"{name.replace('=', ' ', 1)} ({rows:,})" for name, rows in facts.too_small.items()
    )


def label_of(column: str, value: str) -> str:
    if not column:
        return ALL
    return f"{value}:00" if column == "hour" and value.isdigit() else value


def worst_first(facts: SlicesFacts, metric: Metric, column: str) -> list[Key]:
    """By the worse of both models."""
    worst: dict[Key, float] = {}
    for model in facts.models:
        for each in model.slices:
            if each.column == column:
                key = (each.column, each.value)
                worst[key] = max(worst.get(key, -math.inf), _badness(each, metric))
    return sorted(worst, key=lambda key: -worst[key])


def _badness(each: SliceFacts, metric: Metric) -> float:
    """More is worse, for every metric; what is unknown is worst."""
    found = each.metrics.get(metric)
    if found is None or found.value is None:
        return math.inf
    if metric == "log_loss":
        return found.value
    return abs(math.log(max(found.value, 1e-9))) if metric == "calibration" else -found.value


def known(each: SliceFacts, metric: Metric) -> bool:
    found = each.metrics.get(metric)
    return found is not None and found.value is not None


def written(found: MetricFacts) -> str:
    if found.value is None:
        return figures.UNKNOWN
    interval = ""
    if found.low is not None and found.high is not None:
        interval = f" ({found.low:.3f} to {found.high:.3f})"
    return f"{found.value:.3f}{interval}"
