"""``python -m benchmarks.pipeline`` (``make bench-pipeline``): is the whole run as fast and small as promised?

Runs the real thing in a temporary folder: `demo` twice, cold and with nothing changed, and trainings through the
pipeline in turn with bare loops. Nothing of the checkout's own artifacts or state is used or touched.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.demo_figures import cached_figures, cold_figures, where_time_goes
from benchmarks.figures import Figure, all_met, print_figures, write_json
from benchmarks.runs import DemoRun, Home, run_demo
from benchmarks.stopping import stop_on_signals
from benchmarks.throughput import Pair, TooShort, epochs_for, steady_rates, train_side_by_side
from benchmarks.trainers import Trainers
from benchmarks.training_figures import training_figures
from models.errors import TwinServeError
from models.framework import FRAMEWORKS
from pipelines.hardware import hardware, versions

out = Console(width=None if sys.stdout.isatty() else 140)
TRIAL_EPOCHS = 12


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and say by the exit code: 0 all goals met, 1 not, 2 it could not be measured."""
    options = parse(arguments)
    stop_on_signals()
    try:
        with temporary_home() as home:
            figures, more = measure(options, home)
    except KeyboardInterrupt:
        out.print("Stopped; nothing is left running.")
        return 130
    except (TwinServeError, TooShort) as error:
        out.print(f"[bold red]Error:[/] {error}", highlight=False)
        return 2
    print_figures(figures, out)
    for line in more.get("time", []):
        out.print(line, highlight=False)
    if options.json:
        write_json(options.json, figures, hardware=hardware(), versions=versions(), **more)
    return 0 if all_met(figures) else 1


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line; ``--quick`` sets what was left out."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.pipeline",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description=__doc__,
        epilog="Through make: make bench-pipeline ARGS='--quick --json bench.json'\n"
        "Takes about 6 minutes on two cores; leave the machine alone meanwhile, and look at `load` first.\n"
        "Exit code: 0 all goals met, 1 not all, 2 it could not be measured.",
    )
    parser.add_argument("--case", default="digits", help="a folder of models/cases")
    parser.add_argument(
        "--only", choices=("demo", "training"), help="the two demo runs, or the trainings"
    )
    parser.add_argument("--pairs", type=_positive, help="pipeline and bare, in turn (default 5)")
    parser.add_argument(
        "--seconds", type=float, help="of both frameworks' training, each run (default 8)"
    )
    parser.add_argument("--quick", action="store_true", help="a smoke run: 1 pair of 2 seconds")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    options = parser.parse_args(arguments)
    options.pairs = options.pairs or (1 if options.quick else 5)
    options.seconds = options.seconds or (2.0 if options.quick else 8.0)
    return options


def measure(options: argparse.Namespace, home: Home) -> tuple[list[Figure], dict[str, Any]]:
    """All figures, and what stands behind them."""
    load = os.getloadavg()[0]
    say(f"Load of the machine at the start: {load:.2f} (more than 0.5 disturbs the figures)")
    figures: list[Figure] = []
    more: dict[str, Any] = {"load_at_start": load}
    if options.only != "training":
        found, detail = measure_demo(options.case, home)
        figures, more = figures + found, more | detail
    if options.only != "demo":
        found, detail = measure_training(options, home)
        figures, more = figures + found, more | detail
    return figures, more


def measure_demo(case: str, home: Home) -> tuple[list[Figure], dict[str, Any]]:
    """``demo`` cold, then again with nothing changed."""
    say("demo, cold: nothing is there yet; memory is sampled")
    cold = run_demo(case, home, "cold", sample_memory=True)
    _tell(cold)
    say("demo again: nothing has changed")
    cached = run_demo(case, home, "cached", sample_memory=False)
    _tell(cached)
    runs = {"cold": cold, "cached": cached}
    more: dict[str, Any] = {
        f"{name}_timings": run.report.timings.model_dump()
        for name, run in runs.items()
        if run.report
    }
    more["time"] = [line for name, run in runs.items() for line in where_time_goes(name, run)]
    if cold.memory:
        more["peak_memory"] = cold.memory.peak_processes
    return cold_figures(cold) + cached_figures(cached), more


def measure_training(
    options: argparse.Namespace, home: Home
) -> tuple[list[Figure], dict[str, Any]]:
    """Pairs of trainings; who goes first alternates, so that a drift of the machine cancels out."""
    say("training: data, initial weights, and a trial to see how long an epoch takes")
    trainers = Trainers(options.case, home)
    try:
        trial = train_side_by_side(
            trainers.through_pipeline, dict.fromkeys(FRAMEWORKS, TRIAL_EPOCHS), trainers.stop
        )
        epochs = epochs_for(trial, options.seconds)
        pairs = [_pair(trainers, epochs, number, options.pairs) for number in range(options.pairs)]
    finally:
        trainers.stop()
    detail = [{"pipeline": pair.pipeline, "bare": pair.bare} for pair in pairs]
    return training_figures(pairs, epochs, trainers.threads), {"pairs": detail, "epochs": epochs}


def _pair(trainers: Trainers, epochs: dict[str, int], number: int, total: int) -> Pair:
    ways = {"pipeline": trainers.through_pipeline, "bare": trainers.bare}
    rates = {}
    for way in list(ways)[:: 1 if number % 2 == 0 else -1]:
        rates[way] = steady_rates(
            train_side_by_side(ways[way], epochs, trainers.stop), trainers.rows
        )
    pair = Pair(rates["pipeline"], rates["bare"])
    ratios = ", ".join(f"{name} {pair.ratio(name):.3f}" for name in epochs)
    say(f"training, pair {number + 1} of {total}: pipeline / bare {ratios}")
    return pair


@contextmanager
def temporary_home() -> Iterator[Home]:
    """A new folder, removed at the end. Its name is short: Unix sockets live below it."""
    path = Path(tempfile.mkdtemp(prefix="ts-"))
    try:
        yield Home(path)
    finally:
        shutil.rmtree(path, ignore_errors=True)


def say(line: str) -> None:
    out.print(f"[dim]{time.strftime('%H:%M:%S')}[/] {line}", highlight=False)


def _tell(run: DemoRun) -> None:
    say(f"  {run.seconds:.1f} s, exit code {run.exit_code}")
    if run.exit_code:
        out.print(run.log, markup=False, highlight=False)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


if __name__ == "__main__":
    sys.exit(main())
