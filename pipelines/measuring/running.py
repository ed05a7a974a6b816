"""The load generator's process: started, listened to, and stopped whatever happens."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from models.errors import ServerNotReady
from models.parent import lifeline
from pipelines.settings import PROJECT
from pipelines.workspace import log
from serving.load.job import LoadJob
from serving.load.schedule import steps

SAY_EVERY_SECONDS = 5.0
FEWEST_STEPS = 5
"""Before this many are done nobody knows how long the rest will take."""
STOP_SECONDS = 5.0

Told = Callable[[dict[str, Any]], None]


def run_load(job: LoadJob, scratch: Path) -> list[dict[str, Any]]:
    """Have the job done, and say meanwhile how far it is.

    Args:
        job: what to do.
        scratch: a folder for files of this run.

    Returns:
        every step that was done, in the order of time; see :mod:`serving.load.schedule`.

    Raises:
        ServerNotReady: the load generator failed or took too long.
    """
    path, errors = scratch / "job.json", scratch / "errors.txt"
    job.write(path)
    progress = Progress(job)
    seen: list[dict[str, Any]] = []
    with errors.open("w") as sink, _process(path, sink) as process:
        limit = job.plan.timeout_seconds(len(job.targets))
        overdue = threading.Timer(limit, process.kill)
        overdue.start()
        try:
            assert process.stdout is not None
            for line in process.stdout:
                seen.append(json.loads(line))
                progress.tell(seen[-1])
            code = process.wait()
        finally:
            late = not overdue.is_alive()
            overdue.cancel()
    if code and late:
        raise ServerNotReady(f"The load generator was not done after {limit:.0f} s.")
    if code:
        raise ServerNotReady("The load generator failed.", errors.read_text()[-2000:])
    return seen


@contextmanager
def _process(path: Path, errors: Any) -> Iterator[subprocess.Popen[str]]:
    """It ends with this block, and with this process."""
    with lifeline() as standard_input:
        process = subprocess.Popen(
            [sys.executable, "-m", "serving.load", str(path)],
            cwd=PROJECT,
            stdin=standard_input,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout:
                process.stdout.close()


class Progress:
    """Says what runs and how long it will take in all.

    Args:
        job: that is done.
        clock: seconds.
    """

    def __init__(self, job: LoadJob, clock: Callable[[], float] = time.monotonic) -> None:
        self._job, self._clock = job, clock
        self._steps = steps(job.plan, len(job.targets))
        self._done, self._began, self._said = 0, clock(), clock()
        full = "short, not by MLPerf's rule" if job.plan.short else "full"
        how = "quick, not for quoting" if job.plan.quick else full
        expected = job.plan.seconds * len(job.targets)
        log.info(
            f"Measure ({how}): {len(job.targets)} endpoints, {job.plan.windows} windows in turn, "
            f"about {duration(expected)}"
        )

    def tell(self, step: dict[str, Any]) -> None:
        """A step is done."""
        self._done += 1
        endpoint = self._job.targets[step["endpoint"]].endpoint.title
        if step["kind"] == "accuracy" and step["wrong"]:
            log.warning(f"{endpoint} answers wrongly, so it is not measured: {step['problem']}")
        now = self._clock()
        if self._done == 1:
            self._began = now  # what the process took to start says nothing of what is to come
        due = now - self._said >= SAY_EVERY_SECONDS and self._done >= FEWEST_STEPS
        if not due or self._done >= self._steps:
            return
        self._said = now
        left = (now - self._began) / (self._done - 1) * (self._steps - self._done)
        log.info(
            f"Measure: {self._done} of {self._steps}, {what(step)} of {endpoint}; "
            f"about {duration(left)} left"
        )


def what(step: dict[str, Any]) -> str:
    """A step in words."""
    if step["kind"] == "window":
        clients = f", {step['clients']} clients" if step["clients"] else ""
        return f"{step['scenario']}{clients}, window {step['number']}"
    if step["kind"] == "sweep":
        return f"{step['target']:.0f} requests/s"
    return str(step["kind"])


def duration(seconds: float) -> str:
    """For people."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 100 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
