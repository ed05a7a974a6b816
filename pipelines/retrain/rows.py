"""The timeline as a table, for the page and the terminal."""

from __future__ import annotations

from dataclasses import dataclass

from models.framework import FRAMEWORKS
from pipelines.report import figures
from pipelines.retrain.charts import serving
from pipelines.retrain.facts import Line, PerformanceFacts, SpanFacts, Timeline

COLUMNS = ("Span", "Rows", "Positive", "Frozen", "In service", "Candidate")
"""Of models: ROC AUC of Keras and of PyTorch."""


@dataclass(frozen=True)
class Row:
    """One span, written out; ``outcome`` is ``pass`` or ``fail`` where something was trained, else empty."""

    span: str
    rows: str
    positives: str
    frozen: str
    service: str
    candidate: str
    outcome: str
    done: str
    why: tuple[str, ...]

    @property
    def cells(self) -> tuple[str, ...]:
        """In the order of ``COLUMNS``."""
        return self.span, self.rows, self.positives, self.frozen, self.service, self.candidate


def rows_of(timeline: Timeline) -> list[Row]:
    return [_row(span) for span in timeline.spans]


def _row(span: SpanFacts) -> Row:
    shown = [*serving(span), *(each for each in span.performance if each.line == "candidate")]
    return Row(
        str(span.span),
        f"{span.rows:,}",
        figures.percent(span.positives),
        _figures(shown, "frozen"),
        _figures(shown, "in service"),
        _figures(shown, "candidate"),
        ("pass" if span.pushed else "fail") if span.retrained else "",
        _done(span),
        (*span.reasons, *span.refused) or tuple(span.why_not.split("; ")),
    )


def _figures(shown: list[PerformanceFacts], line: Line) -> str:
    found = {each.framework: each.roc_auc for each in shown if each.line == line}
    return " · ".join(f"{found[name]:.4f}" for name in FRAMEWORKS) if found else figures.UNKNOWN


def _done(span: SpanFacts) -> str:
    if not span.retrained:
        return "not retrained"
    return f"version {span.candidate} {'pushed' if span.pushed else 'refused'}"
