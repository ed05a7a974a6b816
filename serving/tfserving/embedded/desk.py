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


def timed_out() -> StatusError:
    """The words are those of TensorFlow's ``direct_session.cc``."""
    return StatusError(StatusCode.DEADLINE_EXCEEDED, "Timed out waiting for notification")


class Later:
    """Awaited in a request's work where the answer comes later and no thread is to wait for it.

    Args:
        start: called in the event loop; what it returns is awaited there.
        now: gives the answer in the thread that calls, where there is no event loop.
        overdue: says how the request is refused where its time is over before the answer is there.
    """

    __slots__ = ("now", "overdue", "start")

    def __init__(
        self,
        start: Callable[[], Awaitable[Any]],
        now: Callable[[], Any],
        overdue: Callable[[], StatusError] = timed_out,
    ) -> None:
        self.start = start
        self.now = now
        self.overdue = overdue

    def __await__(self) -> Generator[Later, Any, Any]:
        return (yield self)


@dataclass(frozen=True, slots=True)
class Done:
    """The work has come to its end."""

    answer: Any


@dataclass(slots=True)
class _Errand:
    """Work that is not done at once, and what it has come to: None is its beginning."""

    work: Work[Any]
    reached: Later | None
    size: int


class Desk:
    """Decides where a request is worked on.

    Handing a request over to a thread and back costs more than a small model takes, so quick
    requests are answered at once. Where several are there at a time, only very quick ones are: others
    go to threads, and as many processors work on them. Large ones, and slow ones, always go to threads,
    so that nobody waits behind them. How long requests take is learnt by their size.

    What is in progress is bounded. A request beyond that is refused with the status and the words
    with which gRPC's C++ server (``server_cc.cc``) refuses where it has no thread left.

    Args:
        clock: tells how long a request keeps the event loop, in seconds.
    """

    QUICK_SECONDS = 0.002
    VERY_QUICK_SECONDS = 0.0005
    SMALL_BYTES = 64 * 1024
    MOST_REQUESTS = 4096
    MOST_BYTES = 1 << 30

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._threads = ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="predict")
        self._mean_seconds = [0.0] * (self.SMALL_BYTES.bit_length() + 1)
        self._crowd = Crowd()
        self._requests = 0
        self._bytes = 0

    async def work(
        self, task: Callable[[], Work[Answer]], size: int, timeout_seconds: float | None = None
    ) -> Answer:
        """Do one request's work.

        Args, Raises: as ``begin``, whatever it returns.
        """
        reached = self.begin(task, size, timeout_seconds)
        return cast(Answer, (reached if isinstance(reached, Done) else await reached).answer)

    def begin(
        self, task: Callable[[], Work[Answer]], size: int, timeout_seconds: float | None = None
    ) -> Done | Coroutine[Any, Any, Done]:
        """Do one request's work as far as it can be done at once.

        Args:
            task: starts the work.
            size: bytes of the request.
            timeout_seconds: longest wait for an answer that is not there at once; None waits as long
                as it takes.

        Returns:
            the answer, or what has to be awaited for it.

        Raises:
            StatusError: the work's own; DEADLINE_EXCEEDED; RESOURCE_EXHAUSTED where too much is in
                progress already.
        """
        if self._is_full(size):
            raise StatusError(StatusCode.RESOURCE_EXHAUSTED, "Server Threadpool Exhausted")
        self._crowd.add()
        work = task()
        reached: Later | None = None
        if self._is_for_here(size):
            found = self._step_here(partial(work.send, None), size)
            if isinstance(found, Done):
                return found
            reached = found
        self._requests += 1
        self._bytes += size
        return self._finish(_Errand(work, reached, size), timeout_seconds)

    def close(self) -> None:
        self._threads.shutdown(wait=True)

    def _is_full(self, size: int) -> bool:
        return self._requests >= self.MOST_REQUESTS or (
            self._bytes + size > self.MOST_BYTES and self._requests > 0
        )

    def _is_for_here(self, size: int) -> bool:
        if self._takes_at_most(self.VERY_QUICK_SECONDS, size):
            return True
        is_alone = not self._requests and not self._crowd.is_there
        return is_alone and self._takes_at_most(self.QUICK_SECONDS, size)

    def _takes_at_most(self, seconds: float, size: int) -> bool:
        return size <= self.SMALL_BYTES and self._mean_seconds[size.bit_length()] <= seconds

    async def _finish(self, errand: _Errand, timeout_seconds: float | None) -> Done:
        """Go on with the work to its end, or to that of its time."""
        try:
            if timeout_seconds is None:
                return await self._go_on(errand)
            try:
                async with asyncio.timeout(timeout_seconds) as limit:
                    return await self._go_on(errand)
            except TimeoutError:
                if not limit.expired():  # it is the work's own
                    raise
                raise (errand.reached.overdue() if errand.reached else timed_out()) from None
        finally:
            self._requests -= 1
            self._bytes -= errand.size

    async def _go_on(self, errand: _Errand) -> Done:
        work, size = errand.work, errand.size
        step: Callable[[], Later] = partial(work.send, None)
        while True:
            is_for_here = False  # else it would be done
            if errand.reached is not None:
                step = await _answer_of(errand.reached, work)
                is_for_here = self._takes_at_most(self.QUICK_SECONDS, size)
            if is_for_here:
                found = self._step_here(step, size)
            else:
                found = await self._on_thread(work, step, size)
            if isinstance(found, Done):
                return found
            errand.reached = found

    async def _on_thread(
        self, work: Work[Any], step: Callable[[], Later], size: int
    ) -> Later | Done:
        running = self._threads.submit(self._step_there, step, size)
        try:
            return await asyncio.wrap_future(running)
        except asyncio.CancelledError:
            running.add_done_callback(lambda _: work.close())
            raise

    def _step_here(self, step: Callable[[], Later], size: int) -> Later | Done:
        """In the event loop. What counts is how long nobody else gets on."""
        started = self._clock()
        try:
            return _step(step)
        finally:
            self._note(self._clock() - started, size)

    def _step_there(self, step: Callable[[], Later], size: int) -> Later | Done:
        """On a thread, where time that passes is other threads' too."""
        started = time.thread_time()
        try:
            return _step(step)
        finally:
            self._note(time.thread_time() - started, size)

    def _note(self, seconds: float, size: int) -> None:
        """A single slow one is the machine's doing and decides nothing."""
        if size <= self.SMALL_BYTES:
            mean = self._mean_seconds[size.bit_length()]
            mean += 0.1 * (min(seconds, 4 * self.QUICK_SECONDS) - mean)
            self._mean_seconds[size.bit_length()] = mean


class Crowd:
    """Whether several requests come in one turn of the event loop, as a rule.

    While requests are answered one after the other, nothing else tells that others wait: they are in
    the sockets.
    """

    SEVERAL = 1.5

    def __init__(self) -> None:
        self._now = 0
        self._mean = 1.0

    def add(self) -> None:
        """A request is here; in the event loop."""
        if not self._now:
            asyncio.get_running_loop().call_soon(self._end_turn)
        self._now += 1

    @property
    def is_there(self) -> bool:
        return self._mean > self.SEVERAL

    def _end_turn(self) -> None:
        self._mean += 0.1 * (self._now - self._mean)
        self._now = 0


def finish_now(work: Work[Answer]) -> Answer:
    """Do a request's work in this thread from beginning to end: for requests that came from no front.

    Raises:
        StatusError: the work's own.
    """
    step: Callable[[], Later] = partial(work.send, None)
    while not isinstance(reached := _step(step), Done):
        try:
            step = partial(work.send, reached.now())
        except StatusError as error:
            step = partial(work.throw, error)
    return cast(Answer, reached.answer)


def _step(step: Callable[[], Later]) -> Later | Done:
    """Work up to where it needs an answer that comes later, or to its end."""
    try:
        return step()
    except StopIteration as done:
        return Done(done.value)


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
