"""Where requests are worked on: in the event loop's thread or on another."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

import pytest
from grpc import StatusCode

from serving.tfserving.embedded.desk import Desk, Later
from serving.tfserving.embedded.status import StatusError

SMALL, LARGE = 100, Desk.SMALL_BYTES + 1
QUICK, MIDDLING, SLOW = 0.0, 2 * Desk.VERY_QUICK_SECONDS, 3 * Desk.QUICK_SECONDS


class Worker:
    """Work that takes the processor for a while, and notes which threads did it."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.threads: list[int] = []

    async def work(self) -> int:
        self.threads.append(threading.get_ident())
        until = time.thread_time() + self.seconds
        while time.thread_time() < until:
            pass
        return 7

    def is_mostly_here(self, last: int) -> bool:
        """Whether the loop's own thread did most of the last ones: a busy machine makes some seem slow."""
        here = sum(each == threading.get_ident() for each in self.threads[-last:])
        return here > last / 2


def in_loop(test: Callable[[Desk], object]) -> None:
    async def run() -> None:
        desk = Desk(clock=time.thread_time)  # what other processes take is not the work's
        try:
            await test(desk)  # type: ignore[misc]
        finally:
            desk.close()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("seconds", "size", "is_here"),
    [(QUICK, SMALL, True), (MIDDLING, SMALL, True), (SLOW, SMALL, False), (QUICK, LARGE, False)],
)
def test_one_after_the_other(seconds: float, size: int, is_here: bool) -> None:
    async def test(desk: Desk) -> None:
        worker = Worker(seconds)
        for _ in range(40):
            assert await desk.work(worker.work, size) == 7
            await asyncio.sleep(0)
        assert worker.is_mostly_here(last=20) is is_here

    in_loop(test)


@pytest.mark.parametrize(("seconds", "is_here"), [(QUICK, True), (MIDDLING, False)])
def test_several_at_a_time(seconds: float, is_here: bool) -> None:
    async def test(desk: Desk) -> None:
        worker = Worker(seconds)
        for _ in range(40):
            answers = await asyncio.gather(*(desk.work(worker.work, SMALL) for _ in range(8)))
            assert answers == [7] * 8
        assert worker.is_mostly_here(last=160) is is_here

    in_loop(test)


def test_sizes_are_told_apart() -> None:
    async def test(desk: Desk) -> None:
        slow, quick = Worker(SLOW), Worker(QUICK)
        for _ in range(40):
            await desk.work(slow.work, 50 * SMALL)
            await desk.work(quick.work, SMALL)
        assert not slow.is_mostly_here(last=20)
        assert quick.is_mostly_here(last=20)

    in_loop(test)


def test_what_fails_fails_on_either_side() -> None:
    async def fail() -> int:
        raise StatusError(StatusCode.NOT_FOUND, "gone")

    async def test(desk: Desk) -> None:
        for size in (SMALL, LARGE):
            with pytest.raises(StatusError, match="gone"):
                await desk.work(fail, size)

    in_loop(test)


@pytest.mark.parametrize("timeout_seconds", [None, 60.0])
@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_a_timeout_of_the_works_own_is_not_the_requests(
    size: int, timeout_seconds: float | None
) -> None:
    async def begin() -> None:
        raise TimeoutError("of a file system")

    async def fail() -> int:
        await Later(begin, lambda: None)
        return 7

    async def test(desk: Desk) -> None:
        with pytest.raises(TimeoutError, match="of a file system"):
            await desk.work(fail, size, timeout_seconds)

    in_loop(test)


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_the_requests_time_ends(size: int) -> None:
    async def wait() -> int:
        await Later(asyncio.Event().wait, lambda: None)
        return 7

    async def test(desk: Desk) -> None:
        with pytest.raises(StatusError) as raised:
            await desk.work(wait, size, timeout_seconds=0.05)
        assert raised.value.code is StatusCode.DEADLINE_EXCEEDED

    in_loop(test)
