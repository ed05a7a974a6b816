"""``python -m benchmarks.fuzz`` (``make fuzz``): what nobody meant, sent to the embedded server.

Starts a server with four models in a temporary folder and sends it 100,000 inputs. Nothing may end it, keep it
busy or make it answer as TF Serving would not; every 200 inputs, good requests must be answered right to the
last digit, over both protocols.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

from rich.console import Console

from benchmarks.fuzz.again import send_again
from benchmarks.fuzz.campaign import Campaign, Outcome
from benchmarks.fuzz.findings import Findings
from benchmarks.fuzz.plan import SHARES, Plan
from benchmarks.fuzz.subject import running_subject
from models.errors import TwinServeError

out = Console(width=None if sys.stdout.isatty() else 160)

FOLDER = Path("build") / "fuzz"


def main(arguments: Sequence[str] | None = None) -> int:
    """Fuzz, print what came of it.

    Returns:
        0 nothing was found, 1 something was, 2 it could not be done, 130 and 143 stopped.
    """
    options = parse(arguments)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        with running_subject() as subject:
            if options.again:
                return 0 if send_again(subject, options.again, options.deadline, _say) else 1
            plan = plan_of(options)
            folder = options.findings or FOLDER / time.strftime("%Y%m%d-%H%M%S")
            outcome = Campaign(subject, plan, Findings(folder), _say).run()
    except KeyboardInterrupt as stopped:
        out.print("Stopped; nothing is left running.")
        return 128 + int(stopped.args[0] if stopped.args else signal.SIGINT)
    except TwinServeError as error:
        out.print(f"[bold red]{type(error).__name__}:[/] ", end="")
        out.print(str(error), markup=False, highlight=False, soft_wrap=True)
        return 2
    report(outcome, plan)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(to_json(outcome, plan), indent=2) + "\n")
    return 1 if len(outcome.findings) else 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.fuzz",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description=__doc__,
        epilog="Through make: make fuzz ARGS='--inputs 10000 --target rest rpc'\n"
        "Exit code: 0 nothing was found, 1 something was, 2 it could not be done.",
    )
    number = _positive
    add = parser.add_argument
    add("--inputs", type=number, default=Plan.inputs, help="in total (default 100000)")
    add(
        "--seed", type=int, default=Plan.seed, help="the same one makes the same inputs (default 0)"
    )
    add(
        "--target", nargs="+", choices=list(SHARES), default=list(SHARES), metavar="NAME",
        help=f"some of: {', '.join(SHARES)}",
    )  # fmt: skip
    add("--seconds", type=float, help="begin nothing more after so many")
    add("--deadline", type=float, default=Plan.deadline_seconds, help="seconds for an answer (20)")
    add("--growth", type=number, default=Plan.growth_bytes >> 20, help="MiB it may grow by (256)")
    add("--findings", type=Path, metavar="FOLDER", help=f"for failing inputs (below {FOLDER})")
    add("--json", type=Path, metavar="FILE", help="write what was found there, too")
    add(
        "--again",
        type=Path,
        nargs="+",
        metavar="PLACE",
        help="send kept inputs again, nothing else",
    )
    return parser.parse_args(arguments)


def plan_of(options: argparse.Namespace) -> Plan:
    """What the options ask for."""
    return Plan(
        inputs=options.inputs,
        seed=options.seed,
        targets=tuple(name for name in SHARES if name in options.target),
        seconds=options.seconds,
        deadline_seconds=options.deadline,
        growth_bytes=options.growth << 20,
    )


def report(outcome: Outcome, plan: Plan) -> None:
    """Print what was sent and what was found."""
    sent = outcome.sent.total()
    parts = ", ".join(f"{name} {count:,}" for name, count in outcome.sent.items())
    rate = sent / outcome.seconds
    _say(
        f"{sent:,} inputs in {outcome.seconds:,.0f} s, {rate:,.0f} a second ({parts}); seed {plan.seed}"
    )
    before, after = (size >> 20 for size in outcome.memory_bytes)
    _say(
        f"{outcome.goods:,} good requests in between; the server's memory: {before} MiB, {after} MiB"
    )
    if outcome.covered:
        covered = ", ".join(f"{name} {count}" for name, count in sorted(outcome.covered.items()))
        _say(f"Branches that atheris reached: {covered}")
    if outcome.ended:
        _say(f"Ended before all were sent: {outcome.ended}")
    for finding in outcome.findings.kept:
        _say(f"{finding.target}, {finding.problem.oracle.value}: {finding.problem.words}")
        if finding.again:
            _say(f"    {finding.again}")
    alike = len(outcome.findings) - len(outcome.findings.kept)
    _say(f"{len(outcome.findings)} findings" + (f", {alike} of them like others" if alike else ""))


def to_json(outcome: Outcome, plan: Plan) -> dict[str, object]:
    """The same for another program; sizes are bytes."""
    return {
        "seed": plan.seed,
        "wanted": plan.inputs,
        "sent": dict(outcome.sent),
        "good_requests": outcome.goods,
        "seconds": round(outcome.seconds, 1),
        "memory_bytes": list(outcome.memory_bytes),
        "covered": outcome.covered,
        "ended": outcome.ended,
        "findings": [finding.to_json() for finding in outcome.findings.kept],
        "counted": dict(outcome.findings.counted),
    }


def _say(line: str) -> None:
    out.print(f"[dim]{time.strftime('%H:%M:%S')}[/] ", end="")
    out.print(line, markup=False, highlight=False, soft_wrap=True)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


def _interrupt(number: int, _frame: FrameType | None) -> NoReturn:
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)  # a second one must not interrupt the cleaning up
    raise KeyboardInterrupt(number)


if __name__ == "__main__":
    sys.exit(main())
