"""One prediction, whatever front it came in by; and where it runs."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from grpc import StatusCode

from serving.tfserving.embedded.saved_model import Servable
from serving.tfserving.embedded.signature import DEFAULT_SIGNATURE, Signature
from serving.tfserving.embedded.status import StatusError

Answer = TypeVar("Answer")


def find_signature(servable: Servable, name: str) -> Signature:
    """The signature of that name, the default one for an empty name.

    Raises:
        StatusError: there is none.
    """
    wanted = name or DEFAULT_SIGNATURE
    if wanted not in servable.signatures:
        raise StatusError(
            StatusCode.FAILED_PRECONDITION, f'Serving signature key "{wanted}" not found.'
        )
    return servable.signatures[wanted]


def predict(
    servable: Servable,
    signature: Signature,
    inputs: Mapping[str, np.ndarray],
    output_filter: Iterable[str] = (),
) -> dict[str, np.ndarray]:
    """Check the tensors, run them, and keep the outputs that were asked for; all where none was.

    Raises:
        StatusError: the request does not fit the signature, or TensorFlow refuses it.
    """
    wanted = list(output_filter)
    signature.check_inputs(inputs)
    signature.check_output_filter(wanted)
    outputs = servable.run(signature, inputs)
    return {name: outputs[name] for name in wanted} if wanted else outputs


class Desk:
    """Decides where a request is worked on: in the event loop, or on a thread.

    Handing a request over to a thread and back costs more than a small model takes, so quick
    requests are answered at once. Large ones, and all of them once the model has shown itself slow,
    go to threads, so that nobody waits behind them.
    """

    QUICK_SECONDS = 0.002
    SMALL_BYTES = 64 * 1024

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="predict")
        self._mean_seconds = 0.0

    async def work(
        self, task: Callable[[], Answer], size: int, timeout_seconds: float | None = None
    ) -> Answer:
        """Do one request's work.

        Args:
            task: the work.
            size: bytes of the request.
            timeout_seconds: longest wait for a thread's answer; None waits as long as it takes.

        Raises:
            StatusError: the work's own, or DEADLINE_EXCEEDED.
        """
        if size > self.SMALL_BYTES:
            return await self._on_thread(task, timeout_seconds)
        if self._mean_seconds > self.QUICK_SECONDS:
            return await self._on_thread(lambda: self._timed(task), timeout_seconds)
        return self._timed(task)

    def close(self) -> None:
        self._threads.shutdown(wait=True)

    async def _on_thread(self, task: Callable[[], Answer], timeout: float | None) -> Answer:
        answer = asyncio.get_running_loop().run_in_executor(self._threads, task)
        try:
            return await asyncio.wait_for(answer, timeout)
        except TimeoutError:
            raise StatusError(
                StatusCode.DEADLINE_EXCEEDED, f"Timed out after {timeout} seconds"
            ) from None

    def _timed(self, task: Callable[[], Answer]) -> Answer:
        started = time.perf_counter()
        try:
            return task()
        finally:
            self._mean_seconds += 0.1 * (time.perf_counter() - started - self._mean_seconds)
