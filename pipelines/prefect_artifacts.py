"""What Prefect's UI shows of a run: the verdict as markdown, parity and cost as tables."""

from __future__ import annotations

from pathlib import Path

from prefect.artifacts import create_markdown_artifact, create_table_artifact

from pipelines.facts import Outcome, RunReport
from pipelines.report.claims import headlines
from pipelines.report.evidence import verdict


def publish_artifacts(report: RunReport, page: Path) -> None:
    """Make the run's artifacts; keys are per case, so that the UI keeps their history."""
    key = report.case.replace("_", "-").lower()
    create_markdown_artifact(
        _markdown(report, page), key=f"{key}-verdict", description=report.title
    )
    create_table_artifact(
        _parity(report), key=f"{key}-parity", description="Against the model in memory"
    )
    if report.latency:
        create_table_artifact(
            _cost(report), key=f"{key}-cost", description="Latency and throughput"
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


def _cost(report: RunReport) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for latency in report.latency:
        row: dict[str, object] = {
            "server": latency.server,
            "protocol": latency.protocol,
            "p50 ms": round(latency.p50_ms, 2),
            "p99 ms": round(latency.p99_ms, 2),
        }
        for through in report.throughput:
            if (through.server, through.protocol) == (latency.server, latency.protocol):
                row[f"requests/s, {through.clients} clients"] = round(through.requests_per_second)
        rows.append(row)
    return rows
