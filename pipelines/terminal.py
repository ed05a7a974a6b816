"""What the command line prints while it works, and how it ends."""

from __future__ import annotations

import logging
import signal
import sys
import time
from collections.abc import Mapping
from types import FrameType
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.tree import Tree

from models import worker
from models.artifact import Manifest
from models.errors import TwinServeError
from pipelines.facts import Check, Measurements, Outcome, SwitchFacts, TrainingFacts
from pipelines.measuring.table import print_load
from pipelines.settings import Settings
from pipelines.workspace import log
from serving.started import stop_all as stop_all_servers

MARKS = {
    Outcome.PASS: "[green]✓[/]",
    Outcome.FAIL: "[red]✗[/]",
    Outcome.SHORTFALL: "[yellow]![/]",
    Outcome.WARNING: "[yellow]![/]",
}
DIGEST_LETTERS = 12
QUIET_LIBRARIES = ("httpx", "httpcore", "asyncio", "h5py", "filelock")


class Interrupted(BaseException):
    """Ctrl-C or SIGTERM, with the signal's number. No KeyboardInterrupt, which libraries take for theirs."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


class ElapsedHandler(logging.Handler):
    """Prints each line of progress behind the seconds since the start."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console
        self._began = time.monotonic()

    def emit(self, record: logging.LogRecord) -> None:
        elapsed = time.monotonic() - self._began
        line = record.getMessage()
        self._console.print(f"[dim]{elapsed:6.1f} s[/]  ", end="")
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


def start(console: Console, verbose: bool) -> None:
    """Show progress, and stop what runs on Ctrl-C and SIGTERM."""
    log.setLevel(logging.DEBUG if verbose else logging.INFO)
    log.addHandler(ElapsedHandler(console))
    for name in QUIET_LIBRARIES:
        logging.getLogger(name).setLevel(logging.WARNING)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop_everything)


def is_verbose() -> bool:
    return log.isEnabledFor(logging.DEBUG)


def run(app: typer.Typer) -> int:
    """Run the command line; every error that we raise becomes one message and an exit code.

    A command that cannot be read is one message too, and code 2, instead of Typer's box.
    """
    console = Console(stderr=True)
    try:
        code = app(sys.argv[1:] or ["--help"], standalone_mode=False)
    except typer.TyperException as error:
        context = getattr(error, "ctx", None)
        path = context.command_path if context else "python -m pipelines"
        console.print("\n[bold red]UsageError[/]: ", end="", highlight=False)
        console.print(error.format_message(), markup=False, highlight=False, soft_wrap=True)
        console.print(f"See `{path} --help`.", markup=False, highlight=False, soft_wrap=True)
        return error.exit_code
    except TwinServeError as error:
        if is_verbose():
            console.print_exception()
        console.print(f"\n[bold red]{type(error).__name__}[/]: ", end="", highlight=False)
        console.print(error.message, markup=False, highlight=False, soft_wrap=True)
        if error.hint:
            console.print(error.hint, markup=False, highlight=False, soft_wrap=True)
        return error.exit_code
    except Interrupted as error:
        console.print(
            "\nStopped, with all that was started. The next run goes on from what is complete."
        )
        return 128 + error.number
    return code if isinstance(code, int) else 0


def print_checks(console: Console, checks: list[Check]) -> None:
    """Every check with its figure, and a line that counts them."""
    table = Table(box=None, pad_edge=False, show_header=False)
    for check in checks:
        table.add_row(
            MARKS[check.outcome],
            check.subject,
            check.question,
            f"{check.figure}  [dim]{check.limit}[/]",
        )
    console.print(table)
    for check in checks:
        if check.outcome is Outcome.FAIL and check.detail:
            console.print(
                f"{check.subject}: {check.detail}", markup=False, highlight=False, soft_wrap=True
            )
    counts = {outcome: sum(check.outcome is outcome for check in checks) for outcome in Outcome}
    console.print(", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count))


def print_trainings(console: Console, trainings: list[TrainingFacts]) -> None:
    """Both trainings side by side."""
    table = Table(box=None, pad_edge=False)
    for column in ("framework", "epochs", "last loss", "test accuracy", "rows/s"):
        table.add_column(column, justify="left" if column == "framework" else "right")
    for facts in trainings:
        table.add_row(
            facts.label,
            str(len(facts.epochs)),
            f"{facts.epochs[-1].loss:.4f}",
            f"{facts.test_accuracy:.4f}",
            f"{facts.rows_per_second:,.0f}",
        )
    console.print(table)


def print_artifacts(console: Console, manifest: Manifest) -> None:
    """A version's artifacts with sizes and digests."""
    table = Table(box=None, pad_edge=False)
    for column in ("format", "path", "kB", "sha256"):
        table.add_column(column, justify="right" if column == "kB" else "left")
    for artifact in manifest.artifacts:
        table.add_row(
            artifact.format, artifact.path, f"{artifact.bytes / 1000:,.0f}", artifact.sha256[:12]
        )
    console.print(table)


def print_measurements(console: Console, found: Measurements) -> None:
    """Readiness and memory by server; then everything under load."""
    for server in found.servers:
        memory = [
            f"{(value or 0) / 2**20:.0f}" for value in (server.idle_bytes, server.loaded_bytes)
        ]
        console.print(
            f"{server.label}: first correct answer after {server.ready_seconds:.1f} s; {memory[0]} MiB idle, "
            f"{memory[1]} MiB after load ({server.memory_kind})"
            + (
                f"; {server.cpu_ms_per_answer:.2f} ms of processor time an answer"
                if server.cpu_ms_per_answer
                else ""
            ),
            highlight=False,
            soft_wrap=True,
        )
    if found.load:
        print_load(console, found.load)


def print_switch(console: Console, rows: list[SwitchFacts]) -> None:
    """What every endpoint answered while a version was exchanged."""
    if not rows:
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("endpoint")
    columns = ["requests", "old", "new", "either", "failed", "wrong", "switch s", "slowest ms"]
    if not any(row.either for row in rows):
        columns.remove("either")
    for column in columns:
        table.add_column(column, justify="right")
    for row in rows:
        cells = {
            "requests": f"{row.requests:,}",
            "old": f"{row.old:,}",
            "new": f"{row.new:,}",
            "either": f"{row.either:,}",
            "failed": f"{row.failed:,}",
            "wrong": f"{row.wrong:,}",
            "switch s": "" if row.switch_seconds is None else f"{row.switch_seconds:.2f}",
            "slowest ms": f"{row.longest_ms:.0f}",
        }
        table.add_row(f"{row.server} · {row.protocol}", *(cells[column] for column in columns))
    console.print(table)
    if all(row.switch_seconds is None for row in rows):
        console.print("Both versions answer alike: the servers' own states say that it is done.")


def print_lineage(console: Console, root: Mapping[str, Any]) -> None:
    """Where an artifact came from, a level of the tree for each step: what made it, and of what."""
    tree = Tree(_lineage_line(root), guide_style="dim")
    _grow(tree, root)
    console.print(tree, soft_wrap=True)


def _grow(tree: Tree, node: Mapping[str, Any]) -> None:
    if (made_by := node["made_by"]) is None:
        return
    maker = tree.add(f"[dim]made by[/] {escape(made_by['type'])}")
    for each in made_by["inputs"]:
        _grow(maker.add(_lineage_line(each)), each)


def _lineage_line(node: Mapping[str, Any]) -> str:
    facts = ", ".join(f"{name} {_short(value)}" for name, value in node["properties"].items())
    again = " [dim](as above)[/]" if node["repeated"] else ""
    return f"[bold]{escape(node['type'].removeprefix('TwinServe'))}[/] {escape(facts)}{again}"


def _short(value: object) -> str:
    """A digest by its beginning."""
    text = str(value)
    return f"{text[:DIGEST_LETTERS]}…" if len(text) > 3 * DIGEST_LETTERS else text


def print_settings(console: Console, settings: Settings) -> None:
    """Every setting's variable with its value, and its meaning below; the variable can be copied whole."""
    for name, field in Settings.model_fields.items():
        console.print(
            f"[bold]TWINSERVE_{name.upper()}[/]={getattr(settings, name)}", soft_wrap=True
        )
        console.print(f"    {field.description}", style="dim", highlight=False)


def _stop_everything(number: int, _frame: FrameType | None) -> None:
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)  # a second one must not interrupt the cleaning up
    # Threads wait for workers and servers: ending those is what lets them end.
    worker.stop_all(for_good=True)
    stop_all_servers(for_good=True)
    raise Interrupted(number)
