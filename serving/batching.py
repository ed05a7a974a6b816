"""A server's own batching: how many rows it works on at once, and how long it waits for them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ServerBatching:
    """The two numbers that both servers have.

    Attributes:
        rows: ``max_batch_size`` of TF Serving, ``batchSize`` of TorchServe.
        delay_ms: whole milliseconds: ``batch_timeout_micros`` / 1000, ``maxBatchDelay``.
    """

    rows: int
    delay_ms: int
