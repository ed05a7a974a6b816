"""What Prefect's UI shows of a run: the verdict as markdown, parity and cost as tables."""

from __future__ import annotations

from pathlib import Path

from prefect.artifacts import create_markdown_artifact, create_table_artifact

from pipelines.facts import LoadFacts, Outcome, RunReport
from pipelines.report.claims import headlines
from pipelines.report.evidence import verdict
from pipelines.report.marks import is_drawn


def publish_artifacts(report: RunReport, page: Path) -> None:
    """Make the run's artifacts; keys are per case, so that the UI keeps their history."""
    key = report.case.replace("_", "-").lower()
    create_markdown_artifact(
        _markdown(report, page), key=f"{key}-verdict", description=report.title
    )
    create_table_artifact(
        _parity(report), key=f"{key}-parity", description="Against the model in memory"
    )
    if report.load:
        create_table_artifact(
            _cost(report.load), key=f"{key}-cost", description="Latency and throughput"
        )


def _markdown(report: RunReport, page: Path) -> str:
    said = verdict(report)
    failed = [check for check in report.checks if check.outcome is not Outcome.PASS]
    lines = [f"# {said.heading}", "", said.summary, "", f"Report: `{page}`", ""]
    lines += [f"* {each.claim} ({each.figures})" for each in headlines(report.claims)]
    lines += [
        f"* **{check.outcome}** {check.subject}: {check.question} ({check.figure}) {check.detail}"
        for check in failed
    ]
    return "\n".join(lines)


def _parity(report: RunReport) -> list[dict[str, object]]:
    return [
        {
            "subject": row.subject,
            "against": row.reference,
            "batch": row.batch,
            "largest difference": f"{row.max_abs:.1e}",
            "same label": f"{row.label_agreement:.2%}",
            "accuracy": "" if row.accuracy is None else f"{row.accuracy:.4f}",
            "passed": row.passed,
        }
        for row in report.parity
    ]


def _cost(load: LoadFacts) -> list[dict[str, object]]:
    """One client's latency and the throughput by endpoint; what is void or had too few samples has no figure."""
    rows: list[dict[str, object]] = []
    for each in load.one_client:
        row: dict[str, object] = {"server": each.server, "protocol": each.protocol}
        for rank in (50, 99):
            found = each.percentile(rank) if is_drawn(each) else None
            row[f"p{rank} ms"] = round(found.ms, 2) if found else None
        for through in load.throughput:
            if (through.server, through.protocol) == (each.server, each.protocol):
                rate = round(through.requests_per_second) if is_drawn(through) else None
                row[f"requests/s, {through.clients} clients"] = rate
        rows.append(row)
    return rows
