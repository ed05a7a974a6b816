"""``python -m benchmarks.server.load job.json``: one JSON line a cell on standard output."""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import numpy as np
import uvloop

from benchmarks.server.dialects import DIALECTS, Dialect
from benchmarks.server.load.closed_loop import ClosedLoop
from benchmarks.server.load.connection import Connection
from benchmarks.server.load.http1 import Http1Connection, ready_request
from benchmarks.server.load.http2 import Http2Connection, header_block, ready_message
from benchmarks.server.load.job import Cell, Job, Seen
from benchmarks.server.subject import Subject
from models.parent import end_with_parent
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


async def do(job: Job, tell: Callable[[Seen], None]) -> None:
    """All cells of a job."""
    dialect, subject = DIALECTS[job.dialect], Subject.read(job.subject, job.home)
    for cell in job.cells:
        tell(await _do_cell(job, dialect, subject, cell))


async def _do_cell(job: Job, dialect: Dialect, subject: Subject, cell: Cell) -> Seen:
    path = dialect.path.format(name=subject.name)
    bodies = [dialect.write(subject, rows) for rows in subject.batches(cell.batch)]
    requests, make = _ready(dialect, f"{job.host}:{job.port}", path, bodies)
    answers = Answers(dialect, subject, cell.batch)
    connections = await _connect(job, make, cell.clients)
    gc.collect()
    gc.freeze()
    loop = ClosedLoop(requests, answers.is_right, cell)
    before, own, wall = cpu_seconds_of(job.pid), time.process_time(), time.perf_counter()
    await loop.run(connections)
    own, wall = time.process_time() - own, time.perf_counter() - wall
    seen = loop.seen(cpu_seconds_of(job.pid) - before, own / wall)
    for connection in connections:
        connection.close()
    return seen


def _ready(
    dialect: Dialect, authority: str, path: str, bodies: Sequence[bytes]
) -> tuple[list[bytes], Callable[[], Connection]]:
    if dialect.protocol == "REST":
        return [ready_request(authority, path, body) for body in bodies], Http1Connection
    headers = header_block(authority, path)
    return [ready_message(body) for body in bodies], lambda: Http2Connection(headers)


async def _connect(job: Job, make: Callable[[], Connection], count: int) -> list[Connection]:
    loop = asyncio.get_running_loop()
    made = [await loop.create_connection(make, job.host, job.port) for _ in range(count)]
    return [connection for _, connection in made]


def main() -> int:
    """Do a job; see the module's docstring."""
    job = Job.read(Path(sys.argv[1]))
    end_with_parent()
    np.seterr(all="ignore")  # a wrong answer may hold anything
    uvloop.run(do(job, lambda seen: print(json.dumps(asdict(seen)), flush=True)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
