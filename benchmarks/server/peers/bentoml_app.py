"""BentoML 1.4: a service whose API takes and returns arrays; ``batchable`` switches its batching on.

https://docs.bentoml.com/en/latest/get-started/adaptive-batching.html. A batchable API returns one
array, so all outputs stand side by side in it, in the order of their names.
"""

from __future__ import annotations

import os

import bentoml
import numpy as np

BATCH = int(os.environ["BENCH_BATCH"])
BATCHING = {"batchable": True, "max_batch_size": BATCH, "max_latency_ms": 10_000}


@bentoml.service(workers=1, traffic={"timeout": 60}, logging={"access": {"enabled": False}})
class Served:
    def __init__(self) -> None:
        from saved import Saved  # noqa: PLC0415  # TensorFlow only in the worker

        self.saved = Saved()

    @bentoml.api(**(BATCHING if BATCH > 1 else {}))
    def predict(self, rows: np.ndarray) -> np.ndarray:
        outputs = self.saved.call(np.asarray(rows, np.float32))
        return np.concatenate(list(outputs.values()), axis=-1)
