"""Closed-loop clients on one event loop: each sends its next request when it has the last answer."""

from __future__ import annotations

import asyncio
import time
from array import array
from collections.abc import Callable, Sequence

import numpy as np

from benchmarks.server.load.connection import Connection
from benchmarks.server.load.job import Cell, Seen

Connect = Callable[[], asyncio.Future[Connection]]
IsRight = Callable[[int, bytes], bool]

ANSWER_SECONDS = 30.0
"""Longest wait for the answers that are under way when the time is up."""

MOST_WRONG = 20
"""A cell that is void anyway is not dragged out."""


class ClosedLoop:
    """The clients of one cell.

    Args:
        requests: ready to send, taken in turn.
        is_right: whether a body answers request number so-and-so.
        cell: how many, how long.
    """

    def __init__(self, requests: Sequence[bytes], is_right: IsRight, cell: Cell) -> None:
        self._requests, self._is_right, self._cell = requests, is_right, cell
        self._latencies = array("d")
        self._next = 0
        self._wrong, self._problem, self.total = 0, "", 0
        self._under_way = 0
        self._done = asyncio.get_running_loop().create_future()
        self._from = time.perf_counter() + cell.warmup_seconds
        self._until = self._from + cell.seconds
        self._last = self._from

    async def run(self, connections: Sequence[Connection]) -> None:
        """Until the time is up or the requests are spent, and every answer is there."""
        for connection in connections:
            self._start(connection)
        limit = self._cell.warmup_seconds + self._cell.seconds + ANSWER_SECONDS
        try:
            await asyncio.wait_for(self._done, limit)
        except TimeoutError:
            self._note(f"{self._under_way} answers did not come within {ANSWER_SECONDS:.0f} s")

    def seen(self, cpu_seconds: float, client_cpu: float) -> Seen:
        """What was seen.

        Args:
            cpu_seconds: of the server, over the whole cell.
            client_cpu: cores that the client used.
        """
        times = np.frombuffer(self._latencies, np.float64) if self._latencies else np.array([0.0])
        p50, p99 = np.percentile(times, (50, 99)) * 1000
        return Seen(
            clients=self._cell.clients,
            batch=self._cell.batch,
            answers=len(self._latencies),
            seconds=self._counted_seconds(),
            p50_ms=float(p50),
            p99_ms=float(p99),
            wrong=self._wrong,
            problem=self._problem,
            cpu_seconds_per_1000=1000 * cpu_seconds / max(self.total, 1),
            client_cpu=client_cpu,
        )

    def _counted_seconds(self) -> float:
        """The whole time; up to the last answer where requests ran out before."""
        spent = self._cell.requests and self._last < self._until
        return max(self._last - self._from, 0.0) if spent else self._cell.seconds

    def _start(self, connection: Connection) -> None:
        self._under_way += 1
        self._send(connection)

    def _send(self, connection: Connection) -> None:
        number = self._next % len(self._requests)
        self._next += 1
        sent = time.perf_counter()

        def answered(body: bytes | None, problem: str) -> None:
            now = time.perf_counter()
            self._count(number, sent, now, body, problem)
            if body is None or self._is_over(now):
                self._end()
            else:
                self._send(connection)

        connection.on_answer = answered
        connection.send(self._requests[number])

    def _count(
        self, number: int, sent: float, now: float, body: bytes | None, problem: str
    ) -> None:
        self.total += 1
        if self._from <= now <= self._until:
            self._latencies.append(now - sent)
            self._last = now
        if body is None:
            self._note(problem)
        elif not self._is_right(number, body):
            self._note(f"request {number} was answered with {body[:200]!r}")

    def _is_over(self, now: float) -> bool:
        spent = self._cell.requests and self._next >= self._cell.requests
        return bool(now >= self._until or spent or self._wrong >= MOST_WRONG)

    def _note(self, problem: str) -> None:
        self._wrong += 1
        self._problem = self._problem or problem

    def _end(self) -> None:
        self._under_way -= 1
        if not self._under_way and not self._done.done():
            self._done.set_result(None)
