"""How good the probabilities are: a table with the baseline in it, and the reliability curve."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import altair as alt

from pipelines.facts import QualityFacts, RunReport
from pipelines.report import figures
from pipelines.report.drawing import LINE, Figure, colour_of, render

COLUMNS = ("ROC AUC", "PR AUC", "Log loss", "Calibration error")


@dataclass(frozen=True)
class QualityLine:
    """One model: its name, its framework (none for the baseline) and its figures in the order of ``COLUMNS``."""

    subject: str
    framework: str | None
    cells: tuple[str, ...]


def quality_lines(report: RunReport) -> tuple[QualityLine, ...]:
    return tuple(
        QualityLine(
            facts.subject,
            facts.framework,
            (
                f"{facts.roc_auc:.4f}",
                f"{facts.pr_auc:.4f}",
                f"{facts.log_loss:.4f}",
                f"{facts.calibration_error:.4f}",
            ),
        )
        for facts in report.quality
    )


def quality_lead(report: RunReport) -> str:
    """What was scored, and what chance would get."""
    facts = report.quality[0]
    share = figures.percent(facts.positives / facts.rows)
    return (
        f"Probabilities for {figures.count(facts.rows, 'row')} of the test split, of which {share} are positive: "
        f"chance has a ROC AUC of 0.5 and a PR AUC of {facts.positives / facts.rows:.4f}. "
        "Calibration error: how far a tenth of the rows is from what was foretold of it, on average."
    )


def reliability_chart(report: RunReport) -> Figure | None:
    """Foretold against observed, a point for every tenth of the rows; on the diagonal both are the same."""
    points = [point for facts in report.quality for point in _points(facts)]
    if not points:
        return None
    title = "Reliability"
    most = max(max(point["predicted"], point["observed"]) for point in points) * 1.05
    said = " ".join(
        f"{facts.subject}: calibration error {facts.calibration_error:.4f}."
        for facts in report.quality
    )
    svg = render(_drawing(points, most), 300, title, said)
    table = tuple(
        (point["subject"], f"{point['predicted']:.4f}", f"{point['observed']:.4f}", point["rows"])
        for point in points
    )
    columns = ("Model", "Foretold", "Observed", "Rows")
    note = "observed share, by foretold probability; dashed: perfect, grey: the baseline"
    return Figure(title, note, svg, columns, table)


def _points(facts: QualityFacts) -> list[dict[str, Any]]:
    return [
        {
            "subject": facts.subject,
            "predicted": each.predicted,
            "observed": each.observed,
            "rows": f"{each.rows:,}",
            "colour": colour_of(facts.framework),
            "tip": f"{facts.subject}: foretold {each.predicted:.3f}, observed {each.observed:.3f}",
        }
        for each in facts.reliability
    ]


def _drawing(points: list[dict[str, Any]], most: float) -> alt.LayerChart:
    scale = alt.Scale(domain=[0, most], nice=False)
    base = alt.Chart(alt.Data(values=points)).encode(
        x=alt.X("predicted:Q", title="foretold", scale=scale, axis=alt.Axis(tickCount=5)),
        y=alt.Y("observed:Q", title=None, scale=scale, axis=alt.Axis(tickCount=5)),
        color=alt.Color("colour:N", scale=None),
        detail="subject:N",
    )
    ends = alt.Data(values=[{"predicted": 0, "observed": 0}, {"predicted": most, "observed": most}])
    perfect = (
        alt.Chart(ends)
        .mark_line(strokeDash=[4, 4], color=LINE)
        .encode(x=alt.X("predicted:Q", scale=scale), y=alt.Y("observed:Q", scale=scale))
    )
    line = base.mark_line(strokeWidth=2, strokeCap="round")
    dot = base.mark_point(filled=True, size=40, opacity=1).encode(description="tip:N")
    return alt.LayerChart(layer=[perfect, line, dot])
