"""One promise of speed or size, what was measured, and whether it was kept."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

MARKS = {True: "[green]yes[/]", False: "[bold red]no[/]", None: "[dim]–[/]"}


@dataclass(frozen=True)
class Figure:
    """One line of the table.

    Attributes:
        name: what was measured.
        value: the measurement, in ``unit``; None where it could not be taken.
        unit: printed behind the value.
        most: the goal, where less is better.
        least: the goal, where more is better. With neither, the figure is there to be read only.
        note: how it came about, for people.
    """

    name: str
    value: float | None
    unit: str = ""
    most: float | None = None
    least: float | None = None
    note: str = ""

    @property
    def has_goal(self) -> bool:
        return self.most is not None or self.least is not None

    @property
    def met(self) -> bool | None:
        """None without a goal. What could not be measured is not met."""
        if not self.has_goal:
            return None
        if self.value is None:
            return False
        above = self.least is None or self.value >= self.least
        return above and (self.most is None or self.value <= self.most)

    def measured_text(self) -> str:
        return "not measured" if self.value is None else _text(self.value, self.unit)

    def goal_text(self) -> str:
        if self.most is not None:
            return f"≤ {_text(self.most, self.unit)}"
        return "" if self.least is None else f"≥ {_text(self.least, self.unit)}"

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "met": self.met}


def print_figures(
    figures: Sequence[Figure], out: Console, title: str = "The whole run: speed and size"
) -> None:
    """The table, and one sentence below it."""
    table = Table(title=title, title_justify="left")
    table.add_column("Figure")
    table.add_column("Measured", justify="right", no_wrap=True)
    table.add_column("Goal", justify="right", no_wrap=True)
    table.add_column("Met")
    table.add_column("How", style="dim", overflow="fold")
    for figure in figures:
        table.add_row(
            figure.name,
            figure.measured_text(),
            figure.goal_text(),
            MARKS[figure.met],
            figure.note,
        )
    out.print(table)
    out.print(verdict(figures), highlight=False)


def verdict(figures: Sequence[Figure]) -> str:
    """How many goals were met, and which were not."""
    goals = [figure for figure in figures if figure.has_goal]
    missed = [figure.name for figure in goals if not figure.met]
    said = f"{len(goals) - len(missed)} of {len(goals)} goals met."
    return f"{said} Not met: {'; '.join(missed)}." if missed else said


def all_met(figures: Sequence[Figure]) -> bool:
    return all(figure.met is not False for figure in figures)


def write_json(path: Path, figures: Sequence[Figure], **more: Any) -> None:
    """Figures and whatever else is worth keeping, for another program."""
    content = {**more, "figures": [figure.to_json() for figure in figures]}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n")


def _text(value: float, unit: str) -> str:
    counts = not unit or abs(value) >= 10
    digits = 0 if float(value).is_integer() and counts else 2
    return f"{value:,.{digits}f} {unit}".rstrip()
