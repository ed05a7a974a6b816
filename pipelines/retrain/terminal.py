"""The timeline in the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from pipelines.report.figures import printable
from pipelines.retrain.facts import Timeline
from pipelines.retrain.page import DATA, gain
from pipelines.retrain.rows import COLUMNS, Row, rows_of
from pipelines.workspace import Workspace

COLOURS = {"pass": "green", "fail": "red", "": "dim"}
GAP = "  "
MOST_COLUMNS = 120
"""Lines of reasons longer than that are hard to read."""


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
    """Of each span a line of figures, and below it what was done and why, a reason a line.

    A terminal of 80 columns has room for the figures, and none for a column of sentences beside them.
    """
    heads = {"Span": timeline.span.capitalize(), "Frozen": "Frozen AUC"}
    head = tuple(heads.get(column, column) for column in COLUMNS)
    rows = rows_of(timeline)
    columns = zip(head, *(row.cells for row in rows), strict=True)
    widths = [max(map(len, column)) for column in columns]
    console.print(Text(_line(head, widths), style="bold"), soft_wrap=True)
    for row in rows:
        console.print(Text(_line(row.cells, widths)), soft_wrap=True)
        indent = widths[0] + len(GAP)
        for text in _story(row):
            shown = Padding(text, (0, 0, 0, indent), expand=False)
            console.print(shown, width=min(console.width, MOST_COLUMNS))


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    """The first two columns are numbers of one kind, to the right."""
    number, rows, *others = (
        cell.rjust(width) if place < 2 else cell.ljust(width)
        for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    return GAP.join([number, rows, *others]).rstrip()


def _story(row: Row) -> Iterator[Text]:
    yield Text(row.done, style=COLOURS[row.outcome])
    for reason in row.why:
        yield Text(printable(reason), style="dim")
