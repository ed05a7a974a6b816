"""``python -m benchmarks.server`` (``make bench-server``): is the embedded server faster than its Python peers?

The same SavedModel behind each server, each in an environment of its own, one running at a time; every answer is
held against the right one, and one wrong answer voids a figure. Ratios within one run mean something; figures of
different runs do not, unless the machine was left alone in both.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from benchmarks.figures import all_met, print_figures, write_json
from benchmarks.server.contestants import BY_NAME
from benchmarks.server.goals import figures_of
from benchmarks.server.plan import QUICK, Plan
from benchmarks.server.run import measure
from benchmarks.server.subject import SUBJECTS
from benchmarks.server.tables import print_results
from benchmarks.stopping import stop_on_signals
from models.errors import TwinServeError
from pipelines.hardware import hardware, versions
from pipelines.settings import read_settings

out = Console(width=None if sys.stdout.isatty() else 170)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and say by the exit code: 0 all goals met, 1 not, 2 it could not be measured."""
    options = parse(arguments)
    plan = plan_of(options)
    stop_on_signals()
    load = os.getloadavg()[0]
    say(f"Load of the machine at the start: {load:.2f} (more than 0.5 disturbs the figures)")
    try:
        results, limits = measure(plan, read_settings(), say)
    except KeyboardInterrupt:
        out.print("Stopped; nothing is left running.")
        return 130
    except TwinServeError as error:
        out.print(f"[bold red]Error:[/] {error}", highlight=False)
        return 2
    figures = figures_of(results, limits)
    print_results(results, out)
    for part, why in limits.failures.items():
        out.print(f"Not measured: {part}: {why}", markup=False, highlight=False)
    print_figures(figures, out, title="The embedded server's goals")
    if options.json:
        write_json(
            options.json,
            figures,
            plan=dataclasses.asdict(plan),
            load_at_start=load,
            hardware=hardware(),
            versions=versions(),
            limits=limits.to_json(),
            **results.to_json(),
        )
    return 0 if all_met(figures) else 1


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.server",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description=__doc__,
        epilog="Through make: make bench-server ARGS='--quick --json bench.json'\n"
        "A whole run takes about 45 minutes on two cores; environments take 5 GB below .twinserve.\n"
        "Exit code: 0 all goals met, 1 not all, 2 it could not be measured.",
    )
    parser.add_argument(
        "--only", nargs="+", choices=list(BY_NAME), metavar="SERVER", help=", ".join(BY_NAME)
    )
    parser.add_argument("--models", nargs="+", choices=SUBJECTS, help="which of the three models")
    parser.add_argument("--rounds", type=_positive, help="starts of each server (default 3)")
    parser.add_argument(
        "--seconds", type=float, help="of each cell (default 1; more where a p99 needs it)"
    )
    parser.add_argument("--clients", type=_positive, nargs="+", help="default 1 8 32")
    parser.add_argument("--quick", action="store_true", help="a smoke run of the digits model")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    return parser.parse_args(arguments)


def plan_of(options: argparse.Namespace) -> Plan:
    """The options over the plan that they start from."""
    given = {
        "only": tuple(options.only or ()),
        "subjects": tuple(options.models or ()),
        "rounds": options.rounds,
        "seconds": options.seconds,
        "clients": tuple(sorted(options.clients or ())),
    }
    chosen = {name: value for name, value in given.items() if value}
    return dataclasses.replace(QUICK if options.quick else Plan(), **chosen)


def say(line: str) -> None:
    out.print(f"[dim]{time.strftime('%H:%M:%S')}[/] ", end="")
    out.print(line, markup=False, highlight=False)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


if __name__ == "__main__":
    sys.exit(main())
