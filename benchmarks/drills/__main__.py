"""``python -m benchmarks.drills`` (``make drills``): break things on purpose, with real containers.

Runs in a temporary folder with a state of its own, on the latest version of a case; its artifacts are
read, not changed.
"""

from __future__ import annotations

import argparse
import logging
import shlex
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

from rich.console import Console

from benchmarks.drills.page import page_of, print_table
from benchmarks.drills.rehearse import DRILLS, rehearse
from benchmarks.drills.stage import Stage, open_stage
from models.artifact import write_text
from models.errors import TwinServeError
from pipelines.hardware import hardware, versions
from pipelines.settings import read_settings
from pipelines.terminal import QUIET_LIBRARIES, ElapsedHandler
from pipelines.workspace import log
from serving.engine import connect
from serving.started import stop_all as stop_started

out = Console(width=None if sys.stdout.isatty() else 160)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the drills and print what came of them.

    Returns:
        0 all went as they should, 1 not all, 2 they could not be run, 130 and 143 stopped.
    """
    options = _parse(arguments)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    for name in QUIET_LIBRARIES:
        logging.getLogger(name).setLevel(logging.WARNING)
    log.addHandler(ElapsedHandler(out))
    log.setLevel(logging.WARNING)
    try:
        with open_stage(options.case, read_settings()) as stage:
            on = _what_it_ran_on(stage)
            _say(f"Version {stage.manifest.version} of {options.case!r}: {stage.both}")
            found = rehearse(stage, options.only or list(DRILLS), _say)
    except _Stopped as stopped:
        out.print("Stopped; nothing is left running.")
        return 128 + stopped.number
    except TwinServeError as error:
        out.print(f"[bold red]{type(error).__name__}:[/] ", end="")
        out.print(str(error), markup=False, highlight=False, soft_wrap=True)
        return 2
    print_table(out, found)
    if options.write and options.only:
        out.print(
            f"Not written: {options.write} is the page of a run of all drills.", highlight=False
        )
    elif options.write:
        write_text(options.write.resolve(), page_of(found, _command(options), on) + "\n")
        out.print(f"Written: {options.write}", highlight=False)
    return 0 if all(facts.passed for facts in found) else 1


class _Stopped(BaseException):
    """Ctrl-C or SIGTERM; no KeyboardInterrupt, which libraries take for theirs."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.drills",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Needs a Docker engine, the images of `make images`, and root for kill -9. Takes about 3 minutes.\n"
        "Exit code: 0 all as it should, 1 a wrong answer, an orphan or another problem, 2 it could not be run.",
    )
    parser.add_argument("--case", default="digits", help="a folder of models/cases")
    parser.add_argument(
        "--only", nargs="+", choices=DRILLS, metavar="NAME", help=f"some of: {', '.join(DRILLS)}"
    )
    parser.add_argument(
        "--write", type=Path, metavar="FILE", help="keep the page there, after a run of all drills"
    )
    return parser.parse_args(arguments)


def _command(options: argparse.Namespace) -> str:
    words = ["python", "-m", "benchmarks.drills"]
    words += ["--case", options.case] if options.case != "digits" else []
    return shlex.join([*words, "--write", "docs/drills.md"])


def _what_it_ran_on(stage: Stage) -> dict[str, str]:
    client = connect()
    try:
        engine = str(client.version()["Version"])
    finally:
        client.close()
    known, machine = versions(), hardware()
    return {
        "Docker": engine,
        "servers": stage.both,
        "torch": known["torch"],
        "TensorFlow": known["tensorflow"],
        "system": machine["system"],
        "cores": machine["cores"],
    }


def _say(line: str) -> None:
    out.print(f"[dim]{time.strftime('%H:%M:%S')}[/] ", end="")
    out.print(line, markup=False, highlight=False, soft_wrap=True)


def _interrupt(number: int, _frame: FrameType | None) -> NoReturn:
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)  # a second one must not interrupt the cleaning up
    stop_started(for_good=True)  # threads wait for servers: ending those is what lets them end
    raise _Stopped(number)


if __name__ == "__main__":
    sys.exit(main())
