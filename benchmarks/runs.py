"""``demo`` as people start it, in a folder of its own: how long, how it ended, what it says of itself."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from benchmarks.memory import PeakMemory
from pipelines.facts import RunReport
from pipelines.settings import PROJECT
from serving.process import tail_of
from serving.process_tree import stop_process_tree

STOP_SECONDS = 30.0
"""A run that is stopped first stops its servers."""

MADE = ("initialise", "train", "export_framework", "verify_framework")
"""Stages that must not be done again where nothing has changed."""


@dataclass(frozen=True)
class Home:
    """A folder that holds everything a run writes: nothing of the checkout's own is touched."""

    path: Path

    @property
    def artifacts(self) -> Path:
        return self.path / "a"

    @property
    def state(self) -> Path:
        return self.path / "s"

    def environment(self) -> dict[str, str]:
        """The user's, without settings of TwinServe and Prefect that would change the figures."""
        ours = ("TWINSERVE_", "PREFECT_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        return {
            **kept,
            "TWINSERVE_ARTIFACTS": str(self.artifacts),
            "TWINSERVE_STATE": str(self.state),
        }

    def report(self, case: str) -> RunReport | None:
        """The newest version's report; None where no run got that far."""
        pages = (self.artifacts / case).glob("[0-9]*/report/report.json")
        newest = max(pages, key=lambda page: int(page.parts[-3]), default=None)
        return RunReport.model_validate_json(newest.read_text()) if newest else None


@dataclass(frozen=True)
class DemoRun:
    """One run of ``demo``.

    Attributes:
        exit_code: 0 where every check passed.
        seconds: from the start of the process to its end.
        memory: of the whole process tree; None where it was not sampled.
        report: None where the run did not get that far.
        left: commands of processes that the run left behind.
        log: the end of what it printed.
    """

    exit_code: int
    seconds: float
    memory: PeakMemory | None
    report: RunReport | None
    left: tuple[str, ...]
    log: str

    @property
    def outside_seconds(self) -> float | None:
        """Time outside the flow: imports, Prefect's own server, the report's charts."""
        return self.seconds - self.report.timings.wall_seconds if self.report else None


def run_demo(case: str, home: Home, name: str, *, sample_memory: bool) -> DemoRun:
    """Run ``python -m pipelines demo`` to its end.

    Args:
        case: which one.
        home: its artifacts and state; what lies there is used again.
        name: of the log in ``home``.
        sample_memory: whether to watch the process tree; takes a few per cent of a core.
    """
    log = home.path / f"{name}.log"
    with log.open("w") as output, _started(case, home, output) as process:
        began = time.monotonic()
        memory = PeakMemory(process.pid) if sample_memory else None
        if memory:
            with memory:
                code = process.wait()
        else:
            code = process.wait()
        seconds = time.monotonic() - began
    left = tuple(" ".join(each.cmdline()) for each in memory.survivors()) if memory else ()
    return DemoRun(code, seconds, memory, home.report(case), left, tail_of(log, 15))


@contextmanager
def _started(case: str, home: Home, output: IO[str]) -> Iterator[subprocess.Popen[bytes]]:
    """The process; at the end of the block it has ended, also after Ctrl-C."""
    process = subprocess.Popen(
        [sys.executable, "-m", "pipelines", "demo", "--case", case],
        cwd=PROJECT,
        env=home.environment(),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # a terminal's Ctrl-C comes to us; the run is stopped below
    )
    try:
        yield process
    finally:
        stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Let a run clean up after itself; whatever is left of it after that is killed."""
    stop_process_tree(process.pid, STOP_SECONDS)
    process.wait()


def made_again(report: RunReport) -> list[str]:
    """What a second run did that it could have taken from the first."""
    stages = [
        stage.stage
        for stage in report.timings.stages
        if stage.stage.split()[0] in MADE and not stage.cached
    ]
    trained = [f"training {each.framework}" for each in report.training if not each.cached]
    return stages + trained
