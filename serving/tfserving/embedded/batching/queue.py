"""The batches of one signature that wait for a thread; see ``batching``."""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from grpc import StatusCode

from serving.tfserving.embedded.batching.batch import Request, Slice, Tensors, merge, split
from serving.tfserving.embedded.status import StatusError, invalid

if TYPE_CHECKING:
    from serving.tfserving.embedded.batching.batcher import Batcher

log = logging.getLogger(__name__)

QUICK_SECONDS = 0.005
"""Of a signature whose batches take less, one runs at a time: what comes meanwhile goes together, and
waits less for it than it saves."""

BUSY_SHARE = 0.7
"""Of the processors. Of a signature whose batches take longer and keep so many at work, one runs at a time, too:
a second beside it makes both slower."""

GATHER_SHARE = 0.25
"""Of the time that such a batch takes: so long the next one, if it has room, waits for those who have just been
answered to ask again. Else they stay apart for ever, a large batch and a small one in turn, which take longer
than one of all."""

_PROCESSORS = len(os.sched_getaffinity(0))


@dataclass(eq=False, slots=True)
class Batch:
    """Slices that are run together.

    Attributes:
        queue: where it waited.
        opened: when the first slice came, on the monotonic clock.
        slices: of requests.
        size: rows of all of them.
        is_alone: whether no other ran at the same time.
        seconds: how long it ran.
        share: of the processors that the process kept at work meanwhile.
        outcome: the outputs of each slice, or why there are none.
    """

    queue: Queue
    opened: float = 0.0
    slices: list[Slice] = field(default_factory=list)
    size: int = 0
    is_alone: bool = True
    seconds: float = 0.0
    share: float = 1.0
    outcome: list[dict[str, np.ndarray]] | Exception = field(default_factory=list)

    def run(self) -> None:
        """On a thread."""
        started, worked = time.monotonic(), time.process_time()
        try:
            waits = [started - each.request.since for each in self.slices]
            inputs = [each.inputs for each in self.slices]
            self.outcome = self.queue.answer(inputs, self.size, waits)
        except Exception as error:  # whatever it is, it belongs to these requests
            if not isinstance(error, StatusError):
                log.exception("a batch failed in a way that is not known")
            self.outcome = error
        self.seconds = time.monotonic() - started
        self.share = (time.process_time() - worked) / max(self.seconds, 1e-9) / _PROCESSORS

    def settle(self) -> None:
        """In the event loop: hand out the answers."""
        if isinstance(self.outcome, Exception):
            for each in self.slices:
                each.fail(self.outcome)
        else:
            for each, outputs in zip(self.slices, self.outcome, strict=True):
                each.settle(outputs)


class Queue:
    """The batches of one signature and choice of outputs; used in the event loop only.

    Args:
        owner: the version's.
        run: answers tensors.
        wanted: names of outputs; all where empty.
    """

    def __init__(self, owner: Batcher, run: Callable[[Tensors], Tensors], wanted: frozenset[str]):
        self.owner = owner
        self._parameters = owner.parameters
        self._timeout_seconds = owner.parameters.batch_timeout_micros / 1e6
        self._limit = owner.parameters.batch_size
        self._run = run
        self._wanted = wanted
        self._batches = deque([Batch(self)])
        self._running = 0
        self._mean_seconds = 0.0
        self._mean_share = 1.0
        self._ended = 0.0

    @property
    def is_empty(self) -> bool:
        return not self._batches[0].slices

    @property
    def is_full(self) -> bool:
        """Whether the first batch has no room."""
        return len(self._batches) > 1 or self._batches[0].size >= self._limit

    @property
    def due(self) -> float:
        """When the first batch is ready though it has room, on the monotonic clock."""
        due = self._batches[0].opened + self._timeout_seconds
        if self._keeps_busy:
            due = max(due, self._ended + GATHER_SHARE * self._mean_seconds)
        return due

    def add(self, inputs: Tensors, rows: int) -> Request:
        """Put a request into the last batch, and into new ones where it has no room.

        Raises:
            StatusError: INVALID_ARGUMENT where it is too large, UNAVAILABLE where too many wait.
        """
        cuts = self.cuts(rows)
        self._check_capacity(rows)
        loop = asyncio.get_running_loop()
        was_empty = self.is_empty
        request = Request(inputs, loop.create_future())
        for start, stop in cuts:
            batch = self._batches[-1]
            if batch.size + stop - start > self._limit:
                batch = Batch(self)
                self._batches.append(batch)
            if not batch.slices:
                batch.opened = time.monotonic()
            batch.slices.append(request.slice(start, stop, rows))
            batch.size += stop - start
        self.owner.scheduler.notice(self, was_empty)
        return request

    def take(self, now: float) -> Batch | None:
        """The first batch, if it is ready; without the requests that nobody waits for any more."""
        while self._is_ready(now):
            batch = self._batches.popleft()
            if not self._batches:
                self._batches.append(Batch(self))
            batch.slices = [each for each in batch.slices if not each.request.answer.done()]
            batch.size = sum(each.size for each in batch.slices)
            if batch.slices:
                for each in batch.slices:
                    each.request.is_taken = True
                self._running += 1
                self.owner.enter()
                return batch
        return None

    def note_end(self, batch: Batch) -> None:
        """A batch that was taken has run."""
        self._running -= 1
        self._ended = time.monotonic()
        seconds = min(batch.seconds, 4 * QUICK_SECONDS)  # a single slow one decides nothing
        self._mean_seconds += 0.1 * (seconds - self._mean_seconds)
        if batch.is_alone:
            self._mean_share += 0.3 * (batch.share - self._mean_share)

    def answer(
        self, slices: list[Tensors], rows: int, waits_seconds: Sequence[float]
    ) -> list[dict[str, np.ndarray]]:
        """Run a batch; the outputs of each slice. On any thread.

        Args:
            slices: tensors by name.
            rows: of all together.
            waits_seconds: how long each slice waited, to be counted.

        Raises:
            StatusError: the batch cannot be put together or taken apart, or TensorFlow refuses it.
        """
        metrics = self.owner.metrics
        metrics.count_start(waits_seconds, rows, self._parameters.padded(rows))
        inputs = merge(slices, rows, self._parameters)
        padded = len(next(iter(inputs.values())))
        try:
            outputs = self._run(inputs)
        finally:
            metrics.count_run()
        sizes = [len(next(iter(each.values()))) for each in slices]
        return split(outputs, self._wanted, sizes, padded)

    def cuts(self, rows: int) -> list[tuple[int, int]]:
        """First row and end of each slice: what the last batch has room for, then full batches.

        Raises:
            StatusError: the request is too large for this model.
        """
        if rows > self._parameters.max_batch_size:
            raise invalid(
                f"Task size {rows} is larger than maximum input batch size "
                f"{self._parameters.max_batch_size}"
            )
        room = self._limit - self._batches[-1].size
        if rows <= room or not self._parameters.enable_large_batch_splitting:
            return [(0, rows)]
        starts = [*([0] if room else []), *range(room, rows, self._limit)]
        return list(itertools.pairwise([*starts, rows]))

    def _check_capacity(self, rows: int) -> None:
        waiting, most = len(self._batches), self._parameters.max_enqueued_batches
        in_last = self._batches[-1].size
        full = "The batch scheduling queue to which this task was submitted is full; "
        if not self._parameters.enable_large_batch_splitting:
            if in_last + rows > self._limit and waiting >= most:
                raise StatusError(
                    StatusCode.UNAVAILABLE,
                    f"{full}currently {waiting} batches enqueued and max_enqueued_batches is {most}",
                )
            return
        capacity = (most - waiting) * self._limit + self._limit - in_last
        if rows > capacity:
            raise StatusError(
                StatusCode.UNAVAILABLE,
                f"{full}task size is {rows} but scheduling capacity is only {capacity} "
                f"(num_enqueued_batches={waiting}, max_enqueued_batches={most}, "
                f"open_batch_size={in_last}, max_execution_batch_size={self._limit})",
            )

    @property
    def _keeps_busy(self) -> bool:
        """Whether its batches take long and leave no processor to a second one."""
        return self._mean_seconds >= QUICK_SECONDS and self._mean_share >= BUSY_SHARE

    def _is_ready(self, now: float) -> bool:
        first = self._batches[0]
        if not first.slices:
            return False
        if self.is_full:
            return True
        if self._running and (self._mean_seconds < QUICK_SECONDS or self._keeps_busy):
            return False
        return now >= self.due
