"""Where a request is worked on: in the event loop, on a thread, or partly here and partly there."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Coroutine, Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar, cast

from grpc import StatusCode

from serving.tfserving.embedded.status import StatusError

Answer = TypeVar("Answer")

Work = Coroutine[Any, Any, Answer]
"""A request's work: a coroutine that awaits nothing but a ``Later``, directly or through others."""


class Later:
    """Awaited in a request's work where the answer comes later and no thread is to wait for it.

    Args:
        start: called in the event loop; what it returns is awaited there.
        now: gives the answer in the thread that calls, where there is no event loop.
    """

    __slots__ = ("now", "start")

    def __init__(self, start: Callable[[], Awaitable[Any]], now: Callable[[], Any]) -> None:
        self.start = start
        self.now = now

    def __await__(self) -> Generator[Later, Any, Any]:
        return (yield self)


@dataclass(frozen=True, slots=True)
class _Done:
    answer: Any


class Desk:
    """Decides where a request is worked on.

    Handing a request over to a thread and back costs more than a small model takes, so quick
    requests are answered at once. Large ones, and all of them once the models have shown themselves
    slow, go to threads, so that nobody waits behind them.

    What is in progress is bounded. A request beyond that is refused with the status and the words
    with which gRPC's C++ server (``server_cc.cc``) refuses where it has no thread left.
    """

    QUICK_SECONDS = 0.002
    SMALL_BYTES = 64 * 1024
    MOST_REQUESTS = 4096
    MOST_BYTES = 1 << 30

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="predict")
        self._mean_seconds = 0.0
        self._requests = 0
        self._bytes = 0

    async def work(
        self, task: Callable[[], Work[Answer]], size: int, timeout_seconds: float | None = None
    ) -> Answer:
        """Do one request's work.

        Args:
            task: starts the work.
            size: bytes of the request.
            timeout_seconds: longest wait for an answer that is not there at once; None waits as long
                as it takes.

        Raises:
            StatusError: the work's own; DEADLINE_EXCEEDED; RESOURCE_EXHAUSTED where too much is in
                progress already.
        """
        if self._is_full(size):
            raise StatusError(StatusCode.RESOURCE_EXHAUSTED, "Server Threadpool Exhausted")
        self._requests += 1
        self._bytes += size
        try:
            work = task()
            is_small = size <= self.SMALL_BYTES
            reached = None
            if is_small and self._is_quick:
                reached = self._step_here(partial(work.send, None))
            if not isinstance(reached, _Done):
                finish = self._finish(work, reached, is_small)
                reached = await _within(timeout_seconds, finish)
            return cast(Answer, reached.answer)
        finally:
            self._requests -= 1
            self._bytes -= size

    def close(self) -> None:
        self._threads.shutdown(wait=True)

    @property
    def _is_quick(self) -> bool:
        return self._mean_seconds <= self.QUICK_SECONDS

    def _is_full(self, size: int) -> bool:
        return self._requests >= self.MOST_REQUESTS or (
            self._bytes + size > self.MOST_BYTES and self._requests > 0
        )

    async def _finish(self, work: Work[Any], reached: Later | None, is_small: bool) -> _Done:
        """Go on with the work to its end."""
        step: Callable[[], Later] = partial(work.send, None)
        while True:
            if reached is not None:
                step = await _answer_of(reached, work)
            if is_small and self._is_quick:
                found = self._step_here(step)
            else:
                found = await self._on_thread(work, self._step_there if is_small else _step, step)
            if isinstance(found, _Done):
                return found
            reached = found

    async def _on_thread(
        self,
        work: Work[Any],
        go: Callable[[Callable[[], Later]], Later | _Done],
        step: Callable[[], Later],
    ) -> Later | _Done:
        running = self._threads.submit(go, step)
        try:
            return await asyncio.wrap_future(running)
        except asyncio.CancelledError:
            running.add_done_callback(lambda _: work.close())
            raise

    def _step_here(self, step: Callable[[], Later]) -> Later | _Done:
        """In the event loop. What counts is how long nobody else gets on."""
        started = time.perf_counter()
        try:
            return _step(step)
        finally:
            self._note(time.perf_counter() - started)

    def _step_there(self, step: Callable[[], Later]) -> Later | _Done:
        """On a thread, where time that passes is other threads' too."""
        started = time.thread_time()
        try:
            return _step(step)
        finally:
            self._note(time.thread_time() - started)

    def _note(self, seconds: float) -> None:
        """A single slow one is the machine's doing and decides nothing."""
        self._mean_seconds += 0.1 * (min(seconds, 4 * self.QUICK_SECONDS) - self._mean_seconds)


def finish_now(work: Work[Answer]) -> Answer:
    """Do a request's work in this thread from beginning to end: for requests that came from no front.

    Raises:
        StatusError: the work's own.
    """
    step: Callable[[], Later] = partial(work.send, None)
    while not isinstance(reached := _step(step), _Done):
        try:
            step = partial(work.send, reached.now())
        except StatusError as error:
            step = partial(work.throw, error)
    return cast(Answer, reached.answer)


def _step(step: Callable[[], Later]) -> Later | _Done:
    """Work up to where it needs an answer that comes later, or to its end."""
    try:
        return step()
    except StopIteration as done:
        return _Done(done.value)


async def _answer_of(later: Later, work: Work[Any]) -> Callable[[], Later]:
    """Wait for what the work waits for; returns how the work goes on."""
    try:
        found = await later.start()
    except Exception as error:
        return partial(work.throw, error)
    except BaseException:  # nobody waits for the answer any more
        work.close()
        raise
    return partial(work.send, found)


async def _within(timeout_seconds: float | None, waiting: Awaitable[Answer]) -> Answer:
    """The words are those of TensorFlow's ``direct_session.cc``."""
    try:
        async with asyncio.timeout(timeout_seconds):
            return await waiting
    except TimeoutError:
        raise StatusError(
            StatusCode.DEADLINE_EXCEEDED, "Timed out waiting for notification"
        ) from None
