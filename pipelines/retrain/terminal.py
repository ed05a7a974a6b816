"""The timeline in the terminal."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table

from pipelines.retrain.facts import Timeline
from pipelines.retrain.page import DATA, gain
from pipelines.retrain.rows import COLUMNS, rows_of
from pipelines.workspace import Workspace

COLOURS = {"pass": "green", "fail": "red", "": "dim"}


def print_replay(console: Console, page: Path, space: Workspace) -> None:
    """The timeline beside a page, where the page is, and how to serve what is in service."""
    timeline = Timeline.model_validate_json(page.with_name(DATA).read_text())
    print_timeline(console, timeline)
    if found := gain(timeline):
        console.print(f"\n{found}", highlight=False)
    console.print(f"\nTimeline: {page}", soft_wrap=True, highlight=False)
    if timeline.spans[-1].in_service:
        console.print(
            f"Serve what is in service: make serve CASE={timeline.case} "
            f"ARTIFACTS={space.settings.artifacts}",
            soft_wrap=True,
            highlight=False,
        )


def print_timeline(console: Console, timeline: Timeline) -> None:
    """A line a span: how good the frozen model and the one in service were, and what was done."""
    table = Table(box=None, pad_edge=False)
    for column in COLUMNS:
        heads = {"Span": timeline.span.capitalize(), "Frozen": "Frozen AUC"}
        table.add_column(heads.get(column, column), justify="right" if column == "Rows" else "left")
    for row in rows_of(timeline):
        done = f"[{COLOURS[row.outcome]}]{row.done}[/]"
        cells = (row.span, row.rows, row.positives, row.frozen, row.service, row.candidate)
        table.add_row(*cells, done, f"[dim]{row.why}[/]")
    console.print(table)
