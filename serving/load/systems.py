"""The systems under test that LoadGen sends its queries to: an endpoint over ready lines, or a Predictor.

LoadGen hands over queries, each with the number of a row, and is told when each is answered. Every answer is held
against the expected one on the way.
"""

from __future__ import annotations

import threading
import time
from array import array
from collections import deque
from collections.abc import Sequence
from typing import Any, Protocol

import mlperf_loadgen as lg

from models.contract import Contract, Tensors
from models.errors import TwinServeError
from models.parity import Tolerance, compare
from models.predictor import Predictor
from serving.load.closed_loop import ANSWER_SECONDS, MOST_WRONG, IsRight
from serving.load.connection import Connection
from serving.load.lines import Lines

Query = Any
"""``mlperf_loadgen.QuerySample``: ``id`` for LoadGen, ``index`` of the row."""


class System(Protocol):
    """What LoadGen drives, and what it has seen.

    Attributes:
        wrong: answers that were not right, or did not come.
        problem: the first of them, for people.
        asked: samples that it was handed.
        lags: (N,) seconds, from being handed a query to having sent it, where a line was free.
    """

    wrong: int
    problem: str
    asked: int
    lags: array[float]

    def issue(self, queries: Sequence[Query]) -> None:
        """Take queries; LoadGen's thread calls it."""

    def close(self) -> None:
        """No more will come."""


class Judging:
    """Counts what is wrong, and tells LoadGen that a query is over.

    A system that has given too many wrong answers is asked no more: its figures are void, and LoadGen, which
    must be told of the end of every query, is told so at once.
    """

    def __init__(self, is_right: IsRight) -> None:
        self._is_right = is_right
        self.wrong, self.problem, self.asked = 0, "", 0
        self.lags = array("d")

    @property
    def gives_up(self) -> bool:
        return self.wrong >= MOST_WRONG

    def judge(self, row: int, body: bytes | None, problem: str) -> None:
        if body is None:
            self.note(problem)
        elif not self._is_right(row, body):
            self.note(f"row {row} was answered with {body[:200]!r}")

    def note(self, problem: str, count: int = 1) -> None:
        self.wrong += count
        self.problem = self.problem or problem


def complete(query: Query) -> None:
    """Tell LoadGen that a query is over; its clock stops here."""
    lg.QuerySamplesComplete([lg.QuerySampleResponse(query.id, 0, 0)])


class Waiting(Judging):
    """SingleStream, MultiStream, Offline: LoadGen's thread sends, and waits until all is answered.

    Args:
        lines: as many requests are under way at once.
        requests: ready to send; number ``i`` asks for row ``i``.
        is_right: judges every answer.
    """

    def __init__(self, lines: Lines, requests: Sequence[bytes], is_right: IsRight) -> None:
        super().__init__(is_right)
        self._lines, self._requests = lines, requests
        self._left: deque[Query] = deque()
        self._under_way: dict[int, Query] = {}

    def issue(self, queries: Sequence[Query]) -> None:
        handed = time.perf_counter()
        self.asked += len(queries)
        self._left = deque(queries)
        for connection in self._lines.connections:
            if self._left and not connection.is_closed:
                self._send(connection)
        self.lags.append(time.perf_counter() - handed)
        patience = time.monotonic() + ANSWER_SECONDS
        while self._under_way and time.monotonic() < patience:
            before = len(self._left)
            self._lines.poll(1.0)
            if len(self._left) < before:
                patience = time.monotonic() + ANSWER_SECONDS
        self._abandon()

    def close(self) -> None:
        """Nothing is under way when ``issue`` has returned."""

    def _send(self, connection: Connection) -> None:
        query = self._left.popleft()
        self._under_way[query.id] = query

        def answered(body: bytes | None, problem: str) -> None:
            if self._under_way.pop(query.id, None) is None:
                return  # given up before
            complete(query)
            self.judge(query.index, body, problem)
            if self._left and not connection.is_closed and not self.gives_up:
                self._send(connection)

        connection.on_answer = answered
        connection.send(self._requests[query.index])

    def _abandon(self) -> None:
        """What has no answer by now gets none."""
        missing = [*self._under_way.values(), *self._left]
        if missing:
            self.note(f"{len(missing)} answers did not come", len(missing))
        for query in missing:
            complete(query)
        self._under_way.clear()
        self._left.clear()


class Arriving(Judging):
    """Server: LoadGen's thread sends when a query is due and goes on; another one reads the answers.

    A query for which no line is free waits here, as it would in front of a busy server; its latency counts from
    the scheduled time all the same.

    Args: as for :class:`Waiting`.
    """

    def __init__(self, lines: Lines, requests: Sequence[bytes], is_right: IsRight) -> None:
        super().__init__(is_right)
        self._lines, self._requests = lines, requests
        self._lock = threading.Lock()
        self._free = list(lines.connections)
        self._waiting: deque[Query] = deque()
        self._under_way: dict[int, Query] = {}
        self._closed = False
        self._last = time.monotonic()
        self._reader = threading.Thread(target=self._read, name="answers", daemon=True)
        self._reader.start()

    def issue(self, queries: Sequence[Query]) -> None:
        handed = time.perf_counter()
        self.asked += len(queries)
        with self._lock:
            for query in queries:
                self._take(query, handed)

    def close(self) -> None:
        self._closed = True
        self._reader.join(ANSWER_SECONDS)

    def _take(self, query: Query, handed: float) -> None:
        while self._free and self._free[-1].is_closed:
            self._free.pop()
        if self.gives_up:
            complete(query)
        elif self._free:
            self._send(self._free.pop(), query)
            self.lags.append(time.perf_counter() - handed)
        else:
            self._waiting.append(query)

    def _send(self, connection: Connection, query: Query) -> None:
        if not self._under_way:
            self._last = time.monotonic()
        self._under_way[query.id] = query

        def answered(body: bytes | None, problem: str) -> None:
            if self._under_way.pop(query.id, None) is None:
                return  # given up before
            complete(query)
            self._last = time.monotonic()
            self.judge(query.index, body, problem)
            if self.gives_up:
                self._abandon()
            elif not connection.is_closed:
                self._go_on(connection)

        connection.on_answer = answered
        connection.send(self._requests[query.index])

    def _go_on(self, connection: Connection) -> None:
        if self._waiting:
            self._send(connection, self._waiting.popleft())
        else:
            self._free.append(connection)

    def _read(self) -> None:
        while not self._closed:
            self._lines.poll(0.1, self._lock)
            late = self._under_way and time.monotonic() > self._last + ANSWER_SECONDS
            deaf = self._waiting and all(each.is_closed for each in self._lines.connections)
            if late or deaf:
                with self._lock:
                    self._abandon()

    def _abandon(self) -> None:
        missing = [*self._under_way.values(), *self._waiting]
        self._under_way.clear()
        self._waiting.clear()
        for connection in self._lines.connections:
            connection.close()
        self.note(f"{len(missing)} answers did not come", max(len(missing), MOST_WRONG))
        for query in missing:
            complete(query)


class Answering(Judging):
    """Any Predictor in this process, asked for one row after the other; LoadGen's thread does the work.

    Args:
        predictor: answers.
        contract: names the outputs.
        inputs: rows, each (N, ...).
        expected: the right answers, each (N, ...).
        tolerance: how far an answer may be off.
    """

    def __init__(
        self,
        predictor: Predictor,
        contract: Contract,
        inputs: Tensors,
        expected: Tensors,
        tolerance: Tolerance,
    ) -> None:
        super().__init__(lambda _row, _body: True)
        self._predictor, self._contract, self._tolerance = predictor, contract, tolerance
        count = len(next(iter(inputs.values())))
        self._rows = [_row(inputs, number) for number in range(count)]
        self._expected = [_row(expected, number) for number in range(count)]

    def issue(self, queries: Sequence[Query]) -> None:
        self.asked += len(queries)
        for query in queries:
            self._answer(query)

    def close(self) -> None:
        """Nothing is under way when ``issue`` has returned."""

    def _answer(self, query: Query) -> None:
        try:
            answer = None if self.gives_up else self._predictor.predict(self._rows[query.index])
        except TwinServeError as error:
            answer = None
            self.note(f"row {query.index}: {error}")
        complete(query)
        if answer is not None:
            self._hold(query.index, answer)

    def _hold(self, row: int, answer: Tensors) -> None:
        try:
            right = compare(self._contract, self._expected[row], answer, self._tolerance).passed
        except TwinServeError as error:
            self.note(f"row {row}: {error}")
        else:
            if not right:
                self.note(f"row {row} was answered wrongly")


def _row(tensors: Tensors, number: int) -> dict[str, Any]:
    return {name: array[number : number + 1] for name, array in tensors.items()}
