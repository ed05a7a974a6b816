"""A small model, and what the load client may have seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.server.load.job import Seen
from benchmarks.server.subject import ROWS, Subject

ROW_NUMBERS = np.arange(ROWS * 3, dtype=np.float32).reshape(ROWS, 3) / 4
SUBJECT = Subject(
    "tiny",
    Path("nowhere"),
    "x",
    ROW_NUMBERS,
    {"b": ROW_NUMBERS[:, :2] * 2, "a": ROW_NUMBERS + 1},
)
"""Two outputs of different widths, given out of order."""

ECHO = Subject("echo", Path("nowhere"), "x", ROW_NUMBERS, {"y": ROW_NUMBERS})


def seen(rate: float = 100.0, **other: object) -> Seen:
    """A cell in which everything was right, but for what is said otherwise."""
    values: dict[str, object] = {
        "clients": 1,
        "batch": 1,
        "answers": int(rate),
        "seconds": 1.0,
        "p50_ms": 1.0,
        "p99_ms": 2.0,
        "wrong": 0,
        "problem": "",
        "cpu_seconds_per_1000": 0.5,
        "client_cpu": 0.1,
    }
    return Seen(**{**values, **other})  # type: ignore[arg-type]
