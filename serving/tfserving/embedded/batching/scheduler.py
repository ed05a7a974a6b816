"""The threads that run batches, and whose turn it is; see ``batching``."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from serving.tfserving.embedded.batching.queue import Batch, Queue

SETTLE_SECONDS = 0.004
"""Longest that the loop reads from connections, once a request has come, before it starts a batch. With 2 ms, 32
clients of small requests were answered more slowly: the last of them were often left to a batch of their own."""


class Scheduler:
    """The threads that run batches, and the queues that have some.

    Args:
        threads: batches that run at a time.
        name: of the threads.
    """

    def __init__(self, threads: int, name: str) -> None:
        self._threads = threads
        self._name = name
        self._idle_threads = 0
        self._under_way: set[Batch] = set()
        self._inbox: SimpleQueue[Batch] = SimpleQueue()
        self._queues: deque[Queue] = deque()
        self._is_called = False
        self._has_new = False
        self._settled = 0.0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def _has_free(self) -> bool:
        return len(self._under_way) < self._threads

    def notice(self, queue: Queue, is_new: bool) -> None:
        """In the event loop: a queue has got a request; ``is_new`` where it had none before."""
        while self._has_free and queue.is_full:  # nothing is won by waiting, and its place is free
            batch = queue.take(time.monotonic())
            if batch is None:
                break
            self._start(asyncio.get_running_loop(), batch)
        if queue.is_empty:
            if not is_new:
                self._queues.remove(queue)
            return
        if is_new:
            self._queues.append(queue)
        self._has_new = True
        if self._has_free and not self._is_called:
            self._settled = time.monotonic() + SETTLE_SECONDS
            self._call_look()

    def _call_look(self) -> None:
        self._is_called = True
        asyncio.get_running_loop().call_soon(self._look)

    def _look(self) -> None:
        """Start what is ready, one batch of each queue in turn, while threads are free."""
        now = time.monotonic()
        if self._has_new and now < self._settled:
            self._has_new = False
            self._call_look()
            return
        self._is_called = self._has_new = False
        loop = asyncio.get_running_loop()
        untried = len(self._queues)
        while self._has_free and untried:
            queue = self._queues.popleft()
            batch = queue.take(now)
            if not queue.is_empty:
                self._queues.append(queue)
            if batch is None:
                untried -= 1
            else:
                self._start(loop, batch)
                untried = len(self._queues)
        if self._has_free:
            self._set_timer(loop, now)

    def _set_timer(self, loop: asyncio.AbstractEventLoop, now: float) -> None:
        """Look again when the next batch with room has waited long enough."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waits = [queue.due - now for queue in self._queues if queue.due > now]
        if waits:
            self._timer = loop.call_later(min(waits), self._look)

    def _start(self, loop: asyncio.AbstractEventLoop, batch: Batch) -> None:
        batch.is_alone = not self._under_way
        for each in self._under_way:
            each.is_alone = False
        self._under_way.add(batch)
        if not self._idle_threads:
            work = partial(self._work, loop)
            threading.Thread(target=work, name=self._name, daemon=True).start()
        else:
            self._idle_threads -= 1
        self._inbox.put(batch)

    def _work(self, loop: asyncio.AbstractEventLoop) -> None:
        while True:
            batch = self._inbox.get()
            batch.run()
            batch.queue.owner.leave()
            try:
                loop.call_soon_threadsafe(self._finish, batch)
            except RuntimeError:  # the loop is closed: the server has ended without this batch
                return
            del batch  # the requests' tensors are not kept until the next batch

    def _finish(self, batch: Batch) -> None:
        self._under_way.discard(batch)
        self._idle_threads += 1
        batch.queue.note_end(batch)
        batch.settle()
        if self._queues and not self._is_called:
            self._call_look()
