"""Two measurements compared, in the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from pipelines.measuring.comparing import Change, Compared
from pipelines.measuring.table import say

COLOURS = {
    Change.WORSE: "bold red",
    Change.BETTER: "green",
    Change.SAME: "",
    Change.UNJUDGED: "yellow",
}


def print_compared(console: Console, rows: Sequence[Compared]) -> None:
    """What became of every figure, endpoint by endpoint, within 80 columns; notes stand below the table."""
    table = Table(box=None, pad_edge=False, collapse_padding=True)
    for column in ("", "", "first", "second", "ratio", ""):
        right = column in {"first", "second", "ratio"}
        # Where there is too little room, intervals go to a second line; nothing is cut off.
        wraps = column in {"first", "second"}
        table.add_column(column, justify="right" if right else "left", no_wrap=not wraps)
    notes = {note: number for number, note in enumerate(_notes(rows), 1)}
    by_endpoint: dict[str, list[Compared]] = {}
    for row in rows:
        by_endpoint.setdefault(row.subject.partition(", ")[0], []).append(row)
    for endpoint, mine in by_endpoint.items():
        table.add_row(f"[bold]{endpoint}[/]")
        for row in mine:
            table.add_row(*_compared_cells(row, notes.get(row.note)))
    console.print(table)
    for note, number in notes.items():
        say(console, f"({number}) {note}")


def _notes(rows: Sequence[Compared]) -> list[str]:
    return list(dict.fromkeys(row.note for row in rows if row.note))


def _compared_cells(row: Compared, note: int | None) -> tuple[str, ...]:
    colour = COLOURS[row.change]
    return (
        f"  {row.subject.partition(', ')[2]}",
        row.quantity.replace("requests/s", "req/s"),
        *_both_wide(row),
        f"{row.after / row.before:.2f}" if row.before and row.after else "",
        (f"[{colour}]{row.change}[/]" if colour else str(row.change))
        + (f" ({note})" if note else ""),
    )


def _both_wide(row: Compared) -> tuple[str, str]:
    """Nothing where neither run has a value: a word of LoadGen's that changed."""
    if row.before is None and row.after is None:
        return "", ""
    return _wide(row.before, row.before_between), _wide(row.after, row.after_between)


def _wide(value: float | None, between: tuple[float, float] | None) -> str:
    if value is None:
        return "none"
    if between is None:
        scale, digits, unit = _form(value)
        return f"{value / scale:,.{digits}f}{unit}"
    scale, digits, unit = _form(value)
    middle, low, high = (f"{each / scale:,.{digits}f}{unit}" for each in (value, *between))
    return f"{middle} ({low}–{high})"


def _form(value: float) -> tuple[float, int, str]:
    """By what to divide, decimals, and the letter behind: three or four digits each."""
    if value >= 10_000:
        return 1000, 1, "k"
    return 1, 0 if value >= 100 else 1 if value >= 10 else 2, ""
