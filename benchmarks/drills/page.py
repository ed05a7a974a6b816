"""What came of the drills: a table for the terminal, and the page that is kept."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table

from benchmarks.drills.facts import DrillFacts
from benchmarks.drills.rehearse import complaints

SHORT = 72
MOST_LINES = 24
"""Of a message on the page: a log's end can be long."""

HEAD = """\
# Fault drills

What is broken on purpose, with real containers: what the user sees, how long it takes to recover, and that no
answer is wrong and nothing is left behind. Clients ask all the while; each answer is held against the model in
memory, as `make check` does.

This page is written by `make drills` (`{command}`); its figures are of that one run.
{when}

* **recover**: from the fault until every protocol answers correctly again; for a pause, from its end; for the
  engine that went away, how long the next command took to clean up.
* **failed**: requests that got no prediction. **wrong**: predictions that are not the model's. **orphans**:
  containers, records and processes of ours that are left after the clean-up.
"""


def print_table(console: Console, found: Sequence[DrillFacts]) -> None:
    """One row a drill, messages shortened."""
    table = Table(box=None, pad_edge=False)
    table.add_column("drill")
    table.add_column("server")
    table.add_column("done", overflow="fold", ratio=2)
    table.add_column("the user sees", overflow="fold", ratio=2)
    for column in ("recover s", "asked", "failed", "WRONG", "ORPHANS"):
        table.add_column(column, justify="right")
    table.add_column("")
    for facts in found:
        table.add_row(
            facts.name,
            facts.server,
            shortened(facts.done),
            shortened(facts.seen),
            *_figures(facts),
            "[green]✓[/]" if facts.passed else "[red]✗[/]",
        )
    console.print(table)
    for facts in found:
        for complaint in complaints(facts):
            console.print(f"{facts.name}: {complaint}", style="red", markup=False, soft_wrap=True)


def page_of(
    found: Sequence[DrillFacts], command: str, on: Mapping[str, str], now: datetime | None = None
) -> str:
    """The page as Markdown.

    Args:
        found: what came of the drills.
        command: how it can be run again.
        on: what it was run on, by name: versions and the like.
        now: the time that the page states; UTC.
    """
    stamp = (now or datetime.now(UTC)).strftime("%Y-%m-%d %H:%M UTC")
    when = f"Run on {stamp}: {', '.join(f'{name} {value}' for name, value in on.items())}."
    rows = [_row(facts) for facts in found]
    table = [
        "| drill | server | the user sees | recover, s | asked | failed | wrong | orphans | |",
        "| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | --- |",
        *rows,
    ]
    parts = [HEAD.format(command=command, when=when), "\n".join(table)]
    return "\n".join([*parts, *(_section(facts) for facts in found)])


def shortened(text: str) -> str:
    """The first sentence or so, on one line."""
    line = " ".join(text.split())
    return line if len(line) <= SHORT else f"{line[: SHORT - 1].rstrip()}…"


def _row(facts: DrillFacts) -> str:
    cells = [
        f"[{facts.name}](#{facts.name})",
        facts.server,
        _in_cell(shortened(facts.seen)),
        *_figures(facts),
        "✓" if facts.passed else "✗",
    ]
    return f"| {' | '.join(cells)} |"


def _section(facts: DrillFacts) -> str:
    verdict = "It did." if facts.passed else f"It did not: {'; '.join(complaints(facts))}."
    told = [facts.done, f"*Should:* {facts.should} **{verdict}**"]
    if facts.asked:
        told.append(f"{facts.asked:,} requests, {facts.failed:,} failed, {facts.wrong:,} wrong.")
    if facts.recovered_seconds is not None:
        told.append(f"{facts.recovered_seconds:.1f} s to recover.")
    seen = _cut(facts.seen) or "(nothing: no request failed)"
    return f"\n## {facts.name}\n\n**{facts.server}.** {' '.join(told)}\n\n```text\n{seen}\n```"


def _figures(facts: DrillFacts) -> tuple[str, ...]:
    seconds = facts.recovered_seconds
    asked = (f"{facts.asked:,}", f"{facts.failed:,}", f"{facts.wrong:,}")
    return (
        "-" if seconds is None else f"{seconds:.1f}",
        *(asked if facts.asked else ("-", "-", "-")),
        str(len(facts.orphans)),
    )


def _in_cell(text: str) -> str:
    return re.sub(r"([|<>*_`\[\]])", r"\\\1", text)


def _cut(text: str) -> str:
    lines = text.strip().splitlines()
    if len(lines) <= MOST_LINES:
        return "\n".join(lines)
    kept = MOST_LINES // 2
    left_out = len(lines) - 2 * kept
    return "\n".join([*lines[:kept], f"… {left_out} more lines …", *lines[-kept:]])
