"""The report in the terminal: the table side by side, then the checks, then the verdict."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from pipelines.facts import Check, Outcome, RunReport
from pipelines.report import figures
from pipelines.report.claims import headlines
from pipelines.report.contests import Evidence
from pipelines.report.evidence import (
    WORST_FIRST,
    checks_in_order,
    measurement_cautions,
    rows_and_slices,
    verdict,
)
from pipelines.report.figures import printable
from pipelines.report.load import load_cautions
from pipelines.report.sides import Side, comparison, sides

STYLES = {"good": "bold green", "bad": "bold red", "none": "bold yellow"}
MARKS = {
    Outcome.PASS: ("✓", "green"),
    Outcome.FAIL: ("✕", "bold red"),
    Outcome.SHORTFALL: ("!", "yellow"),
    Outcome.WARNING: ("!", "yellow"),
}


def print_report(report: RunReport, console: Console) -> None:
    """Print the same facts as the page, for 80 columns and more.

    Names and messages come from servers: they are printed as plain text, control characters replaced,
    so that none can restyle the terminal.
    """
    console.print()
    console.print(_plain(f"{report.title}, version {report.version}", "bold"))
    if comparison(report):
        console.print(_side_by_side(report))
    _print_said(rows_and_slices(report), console)
    _print_said(headlines(report.claims), console)
    _print_said(load_cautions(report), console)
    for caution in measurement_cautions(report):
        console.print(_caution(caution))
    _print_checks(report, console)
    _print_time(report, console)
    _print_verdict(report, console)


def _side_by_side(report: RunReport) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="")
    table.add_column("", style="dim")
    for side in sides(report):
        table.add_column(_heading(side))
    lines = comparison(report)
    for line, following in zip(lines, [*lines[1:], None], strict=True):
        ends = following is not None and following.group != line.group
        cells = [_plain(cell) for cell in line.cells]
        table.add_row(_plain(line.label), *cells, end_section=ends)
    return table


def _heading(side: Side) -> Text:
    return Text.assemble((side.name, "bold"), "\n", (printable(side.where), "dim"))


def _print_said(sentences: Sequence[Evidence], console: Console) -> None:
    """Each with its figures below it."""
    for said in sentences:
        sign, style = ("!", "yellow") if said.caution else ("•", "")
        console.print(_plain(f"{sign} {said.claim}", style))
        if said.figures:
            console.print(Padding(_plain(said.figures, "dim"), (0, 0, 0, 2)))
    if sentences:
        console.print()


def _caution(caution: Evidence) -> Text:
    said = f"{caution.claim}: {caution.figures}" if caution.figures else caution.claim
    return _plain(f"! {said}", "yellow")


def _print_checks(report: RunReport, console: Console) -> None:
    for stage in dict.fromkeys(check.stage for check in report.checks):
        console.print(_stage_line(stage, [c for c in report.checks if c.stage == stage]))
    for check in checks_in_order(report):
        if check.outcome is not Outcome.PASS:
            console.print()
            console.print(_check_heading(check))
            console.print(Padding(_check_body(check), (0, 0, 0, 2)))


def _stage_line(stage: str, checks: list[Check]) -> Text:
    """``✓ verify: 20 passed``, or the same with what did not."""
    numbers = [
        (word, number)
        for outcome, word in (
            ("pass", "passed"),
            ("fail", "failed"),
            ("shortfall", "fell short"),
            ("warning", "with a warning"),
        )
        if (number := sum(check.outcome == outcome for check in checks))
    ]
    worst = _worst(checks)
    mark, style = MARKS[worst]
    said = ", ".join(f"{number} {word}" for word, number in numbers)
    return Text.assemble((mark, style), f" {printable(stage)}: {said}")


def _worst(checks: Iterable[Check]) -> Outcome:
    found = {check.outcome for check in checks}
    return next(outcome for outcome in WORST_FIRST if outcome in found)


def _check_heading(check: Check) -> Text:
    mark, style = MARKS[check.outcome]
    return Text.assemble(
        (f"{mark} {printable(check.subject)}", style), f" ({printable(check.stage)})"
    )


def _check_body(check: Check) -> Text:
    found = f"found {check.figure}" + (f", held to {check.limit}" if check.limit else "")
    lines = (check.question, found, check.detail)
    return _plain("\n".join(line for line in lines if line))


def _print_time(report: RunReport, console: Console) -> None:
    wall, critical = report.timings.wall_seconds, report.timings.critical_path_seconds
    if critical > 0:
        console.print()
        console.print(
            _plain(
                f"The flow took {figures.seconds(wall)}, its longest chain of stages "
                f"{figures.seconds(critical)} ({wall / critical:.2f} ×).",
                "dim",
            )
        )


def _print_verdict(report: RunReport, console: Console) -> None:
    answer = verdict(report)
    outcome = {"good": Outcome.PASS, "bad": Outcome.FAIL, "none": Outcome.SHORTFALL}[answer.tone]
    console.print()
    console.print(
        Text.assemble(
            (f"{MARKS[outcome][0]} {answer.heading}", STYLES[answer.tone]), f"  {answer.summary}"
        )
    )


def _plain(text: str, style: str = "") -> Text:
    return Text(printable(text), style)
