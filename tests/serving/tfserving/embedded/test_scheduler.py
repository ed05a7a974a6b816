"""Queues and threads for batches, without a server around them."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Coroutine
from typing import Any

import numpy as np
import pytest

from serving.tfserving.embedded.batching import queue
from serving.tfserving.embedded.batching.batch import Tensors
from serving.tfserving.embedded.batching.batcher import Batcher, Scheduler
from serving.tfserving.embedded.desk import Desk
from serving.tfserving.embedded.graph.signature import Signature
from serving.tfserving.embedded.options.batching_parameters import BatchingParameters
from serving.tfserving.embedded.status import StatusError

SIGNATURE = Signature("any", {}, {})


class Recorder:
    """Runs batches for several models on threads, which wait until they are let go.

    Args:
        threads: how many.
        seconds: that a batch takes.
        parameters: of batching.
    """

    def __init__(self, threads: int = 1, seconds: float = 0.0, **parameters: Any) -> None:
        self.ran: list[tuple[str, int]] = []
        self.running = 0
        self.gate = threading.Event()
        self.scheduler = Scheduler(threads, "test")
        self.parameters = BatchingParameters(**parameters)
        self._seconds = seconds

    def batcher(self, name: str) -> Batcher:
        def run(_: Signature, inputs: Tensors) -> dict[str, np.ndarray]:
            self.running += 1
            assert self.gate.wait(30)
            time.sleep(self._seconds)
            self.running -= 1
            self.ran.append((name, len(inputs["x"])))
            return dict(inputs)

        return Batcher(run, self.parameters, self.scheduler)


async def ask(desk: Desk, batcher: Batcher, rows: int) -> dict[str, np.ndarray]:
    def work() -> Coroutine[Any, Any, dict[str, np.ndarray]]:
        return batcher.run(SIGNATURE, {"x": np.arange(rows)})

    return await desk.work(work, 0)


def test_models_take_turns() -> None:
    recorder = Recorder(max_batch_size=1)
    busy, other = recorder.batcher("busy"), recorder.batcher("other")

    async def main() -> None:
        desk = Desk()
        waiting = [asyncio.create_task(ask(desk, busy, 1)) for _ in range(6)]
        await asyncio.sleep(0.05)
        waiting.append(asyncio.create_task(ask(desk, other, 1)))
        await asyncio.sleep(0.05)
        recorder.gate.set()
        await asyncio.gather(*waiting)

    asyncio.run(main())
    assert recorder.ran.index(("other", 1)) <= 2  # not behind all six


def test_who_comes_while_a_batch_runs_goes_together() -> None:
    recorder = Recorder()
    batcher = recorder.batcher("model")

    async def main() -> None:
        desk = Desk()
        first = asyncio.create_task(ask(desk, batcher, 1))
        await asyncio.sleep(0.05)
        others = [asyncio.create_task(ask(desk, batcher, rows)) for rows in (1, 2, 3)]
        await asyncio.sleep(0.05)
        recorder.gate.set()
        await first
        for rows, answer in zip((1, 2, 3), await asyncio.gather(*others), strict=True):
            np.testing.assert_array_equal(answer["x"], np.arange(rows))

    asyncio.run(main())
    assert recorder.ran == [("model", 1), ("model", 6)]


# So many processors that none, or every, batch keeps them at work; and that many batches tell it.
BUSY, IDLE, LEARNT_AFTER = 1e-9, 1e9, 10


async def running_together(recorder: Recorder) -> int:
    """How many of two batches with room run at the same time, of a model whose ways are known."""
    desk, batcher = Desk(), recorder.batcher("model")
    recorder.gate.set()
    for _ in range(LEARNT_AFTER):
        await ask(desk, batcher, 1)
    recorder.gate.clear()
    waiting = []
    for rows in (1, 2):
        waiting.append(asyncio.create_task(ask(desk, batcher, rows)))
        await asyncio.sleep(0.1)
    together = recorder.running
    recorder.gate.set()
    await asyncio.gather(*waiting)
    return together


@pytest.mark.parametrize(
    ("seconds", "processors", "expected"),
    [(0.02, IDLE, 2), (0.02, BUSY, 1), (0.0, IDLE, 1)],
    ids=["slow, processors idle", "slow, processors busy", "quick"],
)
def test_a_second_batch_runs_beside_the_first_where_that_gains_anything(
    seconds: float, processors: float, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "_PROCESSORS", processors)
    assert asyncio.run(running_together(Recorder(threads=2, seconds=seconds))) == expected


def test_a_full_batch_does_not_wait_for_the_one_that_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "_PROCESSORS", BUSY)
    recorder = Recorder(threads=2, seconds=0.02, max_batch_size=2)
    assert asyncio.run(running_together(recorder)) == 2


def test_clients_of_different_batches_come_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "_PROCESSORS", BUSY)
    recorder = Recorder(threads=2, seconds=0.02)

    async def main() -> None:
        desk, batcher = Desk(), recorder.batcher("model")
        recorder.gate.set()
        for _ in range(LEARNT_AFTER):
            await ask(desk, batcher, 1)

        async def client(rows: int) -> None:
            for _ in range(20):
                await ask(desk, batcher, rows)
                await asyncio.sleep(0.001)  # an answer and a request are on their way

        first = asyncio.create_task(client(1))
        await asyncio.sleep(0.01)  # the second one asks while the first one's batch runs
        await asyncio.gather(first, client(2))

    asyncio.run(main())
    asked_alone = recorder.ran[LEARNT_AFTER:].count(("model", 1))
    assert 1 <= asked_alone < 10
    assert recorder.ran.count(("model", 3)) > 10


def test_who_gives_up_is_not_run() -> None:
    recorder = Recorder()
    batcher = recorder.batcher("model")

    async def main() -> None:
        desk = Desk()
        first = asyncio.create_task(ask(desk, batcher, 1))
        await asyncio.sleep(0.05)
        given_up = asyncio.create_task(ask(desk, batcher, 5))
        stays = asyncio.create_task(ask(desk, batcher, 2))
        await asyncio.sleep(0.05)
        given_up.cancel()
        recorder.gate.set()
        await asyncio.gather(first, stays)
        assert given_up.cancelled()

    asyncio.run(main())
    assert recorder.ran == [("model", 1), ("model", 2)]
    assert batcher.wait_until_idle()


def test_the_desk_refuses_what_is_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Desk, "MOST_REQUESTS", 2)
    recorder = Recorder()
    batcher = recorder.batcher("model")

    async def main() -> None:
        desk = Desk()
        waiting = [asyncio.create_task(ask(desk, batcher, 1)) for _ in range(2)]
        await asyncio.sleep(0.05)
        with pytest.raises(StatusError, match="RESOURCE_EXHAUSTED"):
            await ask(desk, batcher, 1)
        recorder.gate.set()
        await asyncio.gather(*waiting)
        await ask(desk, batcher, 1)

    asyncio.run(main())
