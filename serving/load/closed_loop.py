"""Closed-loop clients: each sends its next request when it has the last one's answer."""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from serving.load.answers import AnswerCheck
from serving.load.connection import Connection
from serving.load.lines import Lines
from serving.load.ready import Ready
from serving.wire.call import WireCall

IsRight = Callable[[int, bytes], bool]
"""Told the number of a request and its answer's body."""

ANSWER_SECONDS = 30.0
"""Longest wait for the answers that are under way when the time is up."""

LONGEST_SECONDS = 600.0

MOST_WRONG = 20
"""Clients that are void anyway do not go on."""


@dataclass(frozen=True)
class Observed:
    """What the clients saw.

    Attributes:
        latencies_ms: (N,) float64, of the answers in the time that counts, in their order.
        seconds: that time.
        total: answers, warm-up included.
        wrong: wrong answers, errors and lost connections, warm-up included.
        first_problem: the first of them, for people.
    """

    latencies_ms: np.ndarray
    seconds: float
    total: int
    wrong: int
    first_problem: str

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.latencies_ms) / self.seconds if self.seconds else 0.0

    def percentile_ms(self, rank: float) -> float:
        """Of the latencies; 0 where there is none."""
        return float(np.percentile(self.latencies_ms, rank)) if len(self.latencies_ms) else 0.0


def run_closed_loop(
    calls: Sequence[WireCall],
    check: AnswerCheck,
    clients: int,
    *,
    requests: int = 0,
    seconds: float = LONGEST_SECONDS,
) -> Observed:
    """Keep ``clients`` requests under way until a number of requests or a time is reached.

    Args:
        calls: the requests of one endpoint, sent in turn; call ``i`` is answered by row ``i`` of the check.
        check: judges every answer.
        clients: closed-loop clients, each with a connection of its own.
        requests: end after so many; 0 for no limit.
        seconds: end after so long; requests under way are waited for.

    Raises:
        Unreachable: nobody listens there.
    """
    ready = Ready.of(calls)
    with ready.open(clients) as lines:
        return ClosedLoop(ready.requests, check.is_right, seconds, limit=requests).run(lines)


class ClosedLoop:
    """As many clients as there are lines.

    Args:
        requests: ready to send, taken in turn.
        is_right: judges every answer.
        seconds: how long answers count.
        warmup_seconds: how long before that they do not.
        limit: ends after so many requests instead, warm-up included; 0 for no limit.
        fewest: where so few answers came, ``seconds`` are added again and again.
        longest_seconds: and not beyond these.
    """

    def __init__(
        self,
        requests: Sequence[bytes],
        is_right: IsRight,
        seconds: float,
        warmup_seconds: float = 0.0,
        limit: int = 0,
        fewest: int = 0,
        longest_seconds: float = LONGEST_SECONDS,
    ) -> None:
        self._requests, self._is_right, self._limit = requests, is_right, limit
        self._fewest, self._longest_seconds = fewest, longest_seconds
        self._seconds, self._warmup_seconds = seconds, warmup_seconds
        self._given_seconds = seconds
        self._latencies = array("d")
        self._next = self._under_way = self._total = self._wrong = 0
        self._problem = ""

    def run(self, lines: Lines) -> Observed:
        """Until the time is up or the requests are spent, and every answer is there."""
        self._from = self._last = time.perf_counter() + self._warmup_seconds
        for connection in lines.connections:
            self._under_way += 1
            self._send(connection)
        while self._under_way and time.perf_counter() < self._until + ANSWER_SECONDS:
            lines.poll(1.0)
        if self._under_way:
            self._note(f"{self._under_way} answers did not come within {ANSWER_SECONDS:.0f} s")
        return Observed(
            np.array(self._latencies, np.float64) * 1000,
            self._counted_seconds(),
            self._total,
            self._wrong,
            self._problem,
        )

    @property
    def _until(self) -> float:
        return self._from + self._given_seconds

    def _counted_seconds(self) -> float:
        """The whole time; up to the last answer where requests ran out before."""
        spent = self._limit and self._last < self._until
        return max(self._last - self._from, 0.0) if spent else self._given_seconds

    def _send(self, connection: Connection) -> None:
        number = self._next % len(self._requests)
        self._next += 1
        sent = time.perf_counter()

        def answered(body: bytes | None, problem: str) -> None:
            now = time.perf_counter()
            self._count(number, sent, now, body, problem)
            if connection.is_closed or self._is_over(now):
                self._under_way -= 1
            else:
                self._send(connection)

        connection.on_answer = answered
        connection.send(self._requests[number])

    def _count(
        self, number: int, sent: float, now: float, body: bytes | None, problem: str
    ) -> None:
        self._total += 1
        self._give_more_time(now)
        if self._from <= now <= self._until:
            self._latencies.append(now - sent)
            self._last = now
        if body is None:
            self._note(problem)
        elif not self._is_right(number, body):
            self._note(f"request {number} was answered with {body[:200]!r}")

    def _give_more_time(self, now: float) -> None:
        most = self._longest_seconds
        while (
            len(self._latencies) < self._fewest and self._until < now and self._given_seconds < most
        ):
            self._given_seconds = min(self._given_seconds + self._seconds, most)

    def _is_over(self, now: float) -> bool:
        spent = self._limit and self._next >= self._limit
        return bool(now >= self._until or spent or self._wrong >= MOST_WRONG)

    def _note(self, problem: str) -> None:
        self._wrong += 1
        self._problem = self._problem or problem
