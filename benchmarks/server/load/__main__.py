"""``python -m benchmarks.server.load job.json``: one JSON line a cell on standard output."""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import numpy as np

from benchmarks.server.dialects import DIALECTS, Dialect
from benchmarks.server.load.job import Cell, Job, Seen
from benchmarks.server.subject import Subject
from models.parent import end_with_parent
from serving.load.closed_loop import ClosedLoop
from serving.load.ready import ready_bodies
from serving.process_tree import cpu_seconds_of

MOST_KNOWN = 4096


class Answers:
    """Whether answers are right, by their bytes where those were seen before.

    Args:
        dialect: reads them.
        subject: knows what is right.
        size: rows in a request.
    """

    def __init__(self, dialect: Dialect, subject: Subject, size: int) -> None:
        self._dialect, self._subject, self._size = dialect, subject, size
        self._known: set[tuple[int, bytes]] = set()

    def is_right(self, number: int, body: bytes) -> bool:
        """Whether the body answers batch ``number``."""
        if (number, body) in self._known:
            return True
        right = False
        with suppress(Exception):  # whatever cannot be read is not right
            found = self._dialect.read(self._subject, body)
            right = self._subject.is_right(number, self._size, found)
        if right and len(self._known) < MOST_KNOWN:
            self._known.add((number, body))
        return right


def do(job: Job, tell: Callable[[Seen], None]) -> None:
    """All cells of a job."""
    dialect, subject = DIALECTS[job.dialect], Subject.read(job.subject, job.home)
    for cell in job.cells:
        tell(_do_cell(job, dialect, subject, cell))


def _do_cell(job: Job, dialect: Dialect, subject: Subject, cell: Cell) -> Seen:
    path = dialect.path.format(name=subject.name)
    bodies = [dialect.write(subject, rows) for rows in subject.batches(cell.batch)]
    ready = ready_bodies(dialect.protocol, job.host, job.port, path, bodies)
    answers = Answers(dialect, subject, cell.batch)
    loop = ClosedLoop(
        ready.requests,
        answers.is_right,
        cell.seconds,
        cell.warmup_seconds,
        cell.requests,
        cell.fewest,
        cell.longest_seconds,
    )
    with ready.open(cell.clients) as lines:
        gc.collect()
        gc.freeze()
        before, own, wall = cpu_seconds_of(job.pid), time.process_time(), time.perf_counter()
        observed = loop.run(lines)
        own, wall = time.process_time() - own, time.perf_counter() - wall
    return Seen.of(cell, observed, cpu_seconds_of(job.pid) - before, own / wall)


def main() -> int:
    """Do a job; see the module's docstring."""
    job = Job.read(Path(sys.argv[1]))
    end_with_parent()
    np.seterr(all="ignore")  # a wrong answer may hold anything
    do(job, lambda seen: print(json.dumps(asdict(seen)), flush=True))
    return 0


if __name__ == "__main__":
    sys.exit(main())
