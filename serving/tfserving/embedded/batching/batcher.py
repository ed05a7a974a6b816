"""Requests of one version and signature put together, so that the session runs less often.

As TensorFlow's ``SharedBatchScheduler`` (``kernels/batching_util/shared_batch_scheduler.h``): each
signature of each version has a queue of batches, of which the last one still takes requests. Threads
that all queues share take one batch from a queue, then one from the next. A batch is ready when it is
full, when another one stands behind it, or when its first request has waited long enough.

Here the event loop keeps the queues, so that they need no lock, and looks what is ready after it has
read from all connections that had something to say; a thread does nothing but run a batch, and the
loop is woken once for all of its requests.
"""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, Collection
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from grpc import StatusCode

from serving.tfserving.embedded.batching.batch import Request, Tensors, count_rows, join
from serving.tfserving.embedded.batching.queue import Queue
from serving.tfserving.embedded.batching.scheduler import Scheduler
from serving.tfserving.embedded.desk import Later, timed_out
from serving.tfserving.embedded.metrics import BatchingMetrics
from serving.tfserving.embedded.options.batching_parameters import BatchingParameters
from serving.tfserving.embedded.status import StatusError

if TYPE_CHECKING:
    from serving.tfserving.embedded.graph.signature import Signature

__all__ = ["Batcher", "Scheduler"]

Run = Callable[["Signature", Tensors], dict[str, np.ndarray]]

DRAIN_SECONDS = 60.0
"""Longest wait for the batches of a version that is closed; their requests have gone by then."""


class Place:
    """A request's place in a queue.

    Args:
        submit: puts the request there.
    """

    __slots__ = ("_request", "_submit")

    def __init__(self, submit: Callable[[], Request]) -> None:
        self._submit = submit
        self._request: Request | None = None

    def take(self) -> Awaitable[dict[str, np.ndarray]]:
        """Wait there; returns what the answer comes to.

        Raises:
            StatusError: the queue does not take the request.
        """
        self._request = self._submit()
        return self._request.answer

    def overdue(self) -> StatusError:
        """As ``BatchingSession::ProcessBatch``, which says so only when it is the batch's turn."""
        if self._request is None or self._request.is_taken:
            return timed_out()
        return StatusError(
            StatusCode.RESOURCE_EXHAUSTED, "Run() timeout exceeded while waiting in batching queue"
        )


class Batcher:
    """One version's queues.

    Args:
        run: answers tensors that fit a signature.
        parameters: how batches are formed.
        scheduler: runs them.
        metrics: counts them.
    """

    def __init__(
        self,
        run: Run,
        parameters: BatchingParameters,
        scheduler: Scheduler,
        metrics: BatchingMetrics | None = None,
    ) -> None:
        self.parameters = parameters
        self.metrics = metrics or BatchingMetrics()
        self.scheduler = scheduler
        self._run = run
        self._queues: dict[tuple[str, frozenset[str]], Queue] = {}
        self._changed = threading.Condition()
        self._running = 0

    async def run(
        self, signature: Signature, inputs: Tensors, wanted: Collection[str] = ()
    ) -> dict[str, np.ndarray]:
        """Answer a request together with others.

        Args:
            signature: the version's.
            inputs: checked against it.
            wanted: names of outputs; all where empty. Others need not have rows.

        Raises:
            StatusError: the request does not fit in a batch, or too many wait, or the batch failed.
        """
        rows = count_rows(inputs)
        self.metrics.count_request(rows, len(inputs))
        place = Place(partial(self._submit, signature, inputs, rows, frozenset(wanted)))
        answer: dict[str, np.ndarray] = await Later(
            place.take,
            partial(self._answer_alone, signature, inputs, rows, frozenset(wanted)),
            place.overdue,
        )
        return answer

    def enter(self) -> None:
        with self._changed:
            self._running += 1

    def leave(self) -> None:
        with self._changed:
            self._running -= 1
            self._changed.notify_all()

    def wait_until_idle(self) -> bool:
        """Whether no batch is running any more; waits for those of requests that were given up."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._running, DRAIN_SECONDS)

    def _submit(
        self, signature: Signature, inputs: Tensors, rows: int, wanted: frozenset[str]
    ) -> Request:
        key = (signature.name, wanted)
        queue = self._queues.get(key)
        if queue is None:
            queue = self._queues[key] = Queue(self, partial(self._run, signature), wanted)
        return queue.add(inputs, rows)

    def _answer_alone(
        self, signature: Signature, inputs: Tensors, rows: int, wanted: frozenset[str]
    ) -> dict[str, np.ndarray]:
        """In batches of its own."""
        queue = Queue(self, partial(self._run, signature), wanted)
        parts: list[Tensors] = []
        for start, stop in queue.cuts(rows):
            part = {name: array[start:stop] for name, array in inputs.items()}
            parts += queue.answer([part], stop - start, [0.0])
        return join(parts)
