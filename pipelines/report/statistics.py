"""The rows as TFDV saw them: features in every split on shared bins, and how far they drift from span to span."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.report import figures
from pipelines.tfx.facts import ColumnFacts, DriftFacts, FeatureFacts, StatisticsFacts

SHOWN = 6
"""Features that are shown at once; the others open on request."""
MEASURES = {"jensen_shannon_divergence": "Jensen-Shannon divergence", "l_infty": "L-infinity"}
NUMBER_HEADS = ("missing", "zeros", "mean", "std", "min", "median", "max")
TEXT_HEADS = ("missing", "different", "commonest")


@dataclass(frozen=True)
class FeatureRow:
    """One feature: what it is, its figures by split, and where it drifts."""

    name: str
    meaning: str
    drift: str
    drifts: bool
    heads: tuple[str, ...]
    lines: tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True)
class DriftCell:
    """One feature in one span; ``share`` is its score in thresholds, at most 1."""

    text: str
    share: float
    exceeded: bool
    tip: str


@dataclass(frozen=True)
class DriftTable:
    """Features down, most drifted first; spans across."""

    span: str
    spans: tuple[int, ...]
    rows: tuple[tuple[str, tuple[DriftCell | None, ...], str], ...]


def split_names(facts: StatisticsFacts) -> list[tuple[str, str]]:
    """Each split and what is in it: ``('train', 'months 1 to 8, 218,442 rows')``."""
    return [
        (split.name, f"{_numbers(facts.span, split.spans)}, {figures.count(split.rows, 'row')}")
        for split in facts.splits
    ]


def _numbers(span: str, numbers: Sequence[int]) -> str:
    if len(numbers) == 1:
        return f"{span} {numbers[0]}"
    return f"{span}s {min(numbers)} to {max(numbers)}"


def strain(each: DriftFacts) -> float:
    """A score in thresholds: above 1 is beyond."""
    return each.score / max(each.threshold, 1e-9)


def by_drift(facts: StatisticsFacts) -> list[FeatureFacts]:
    """The features, those that drift most first."""
    worst: dict[str, float] = {}
    for each in facts.drift:
        worst[each.feature] = max(worst.get(each.feature, 0.0), strain(each))
    return sorted(facts.features, key=lambda feature: -worst.get(feature.name, -1.0))


def feature_row(facts: StatisticsFacts, feature: FeatureFacts) -> FeatureRow:
    """What stands beside a feature's drawing."""
    cells = _text_cells if feature.values else _number_cells
    compared = [each for each in facts.drift if each.feature == feature.name]
    drifted = [each for each in compared if each.exceeded]
    said = "not held against a threshold"
    if compared:
        worst = max(compared, key=strain)
        said = (
            f"drifts most in {facts.span} {worst.span}: {_score(worst)} of {worst.threshold:g} "
            f"allowed"
        )
    return FeatureRow(
        name=feature.name,
        meaning=feature.meaning,
        drift=said,
        drifts=bool(drifted),
        heads=TEXT_HEADS if feature.values else NUMBER_HEADS,
        lines=tuple((each.split, cells(feature, each)) for each in feature.columns),
    )


def _score(each: DriftFacts) -> str:
    return f"{each.score:.3f}" if each.score < 0.1 else f"{each.score:.2f}"


def _number_cells(_: FeatureFacts, column: ColumnFacts) -> tuple[str, ...]:
    numbers = (column.mean, column.std, column.min, column.median, column.max)
    shares = (figures.brief_percent(column.missing), figures.brief_percent(column.zeros))
    return (*shares, *map(figures.plain_number, numbers))


def _text_cells(feature: FeatureFacts, column: ColumnFacts) -> tuple[str, ...]:
    shares = dict(zip(feature.values, column.shares, strict=False))
    first = max(shares, key=lambda value: shares[value], default="")
    commonest = f"{first} ({figures.brief_percent(shares[first])})" if first else figures.UNKNOWN
    different = figures.UNKNOWN if column.distinct is None else f"{column.distinct:,}"
    return figures.brief_percent(column.missing), different, commonest


def drift_table(facts: StatisticsFacts) -> DriftTable | None:
    """None where no two spans were compared."""
    spans = tuple(sorted({each.span for each in facts.drift}))
    if not spans:
        return None
    found = {(each.feature, each.span): each for each in facts.drift}
    worst: dict[str, float] = {}
    for each in facts.drift:  # the label among them, which is no feature
        worst[each.feature] = max(worst.get(each.feature, 0.0), strain(each))
    names = sorted(worst, key=lambda name: -worst[name])
    return DriftTable(
        facts.span,
        spans,
        tuple(
            (
                name,
                tuple(_drift_cell(facts.span, found.get((name, span))) for span in spans),
                next(f"{e.threshold:g}" for e in facts.drift if e.feature == name),
            )
            for name in names
        ),
    )


def _drift_cell(span: str, each: DriftFacts | None) -> DriftCell | None:
    if each is None:
        return None
    verdict = "beyond" if each.exceeded else "within"
    against = each.against.replace("span", span)
    return DriftCell(
        f"{each.score:.2f}",
        min(strain(each), 1.0),
        each.exceeded,
        f"{each.feature}, {span} {each.span} against {against}: {each.score:.4f}, {verdict} "
        f"{each.threshold:g} ({MEASURES.get(each.measure, each.measure)})",
    )


def drifted(facts: StatisticsFacts) -> list[DriftFacts]:
    """The features beyond their threshold, each at its worst, the worst first."""
    worst: dict[str, DriftFacts] = {}
    for each in sorted(facts.drift, key=strain, reverse=True):
        if each.exceeded:
            worst.setdefault(each.feature, each)
    return list(worst.values())
