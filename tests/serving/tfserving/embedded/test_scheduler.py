"""Queues and threads for batches, without a server around them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any

import numpy as np
import pytest

from serving.tfserving.embedded.batching.batch import Tensors
from serving.tfserving.embedded.batching.batcher import Batcher, Scheduler
from serving.tfserving.embedded.desk import Desk
from serving.tfserving.embedded.graph.signature import Signature
from serving.tfserving.embedded.options.batching_parameters import BatchingParameters
from serving.tfserving.embedded.status import StatusError

SIGNATURE = Signature("any", {}, {})


class Recorder:
    """Runs batches for several models on one thread, which waits until it is let go."""

    def __init__(self, **parameters: Any) -> None:
        self.ran: list[tuple[str, int]] = []
        self.gate = threading.Event()
        self.scheduler = Scheduler(1, "test")
        self.parameters = BatchingParameters(**parameters)

    def batcher(self, name: str) -> Batcher:
        def run(_: Signature, inputs: Tensors) -> dict[str, np.ndarray]:
            assert self.gate.wait(30)
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
