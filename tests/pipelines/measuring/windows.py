"""Windows as the load generator would tell of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pipelines.measuring.windows import Seen
from serving.endpoints import Endpoint


def endpoint(server: str = "tfserving", protocol: str = "REST") -> Endpoint:
    label = {"tfserving": "TF Serving", "torchserve": "TorchServe"}[server]
    return Endpoint(server, label, protocol, "127.0.0.1", {"rest": 1, "grpc": 2}, Path())


def said(**more: Any) -> dict[str, Any]:
    """A window that has nothing against it."""
    return {
        "kind": "window",
        "endpoint": 0,
        "scenario": "SingleStream",
        "number": 1,
        "clients": 0,
        "target": None,
        "offered": None,
        "bound_ms": None,
        "requests": 1000,
        "seconds": 1.0,
        "rate": 1000.0,
        "wrong": 0,
        "problem": "",
        "validity": "VALID",
        "reasons": [],
        "cores": 0.2,
        "lag_p50_ms": 0.01,
        "lag_p99_ms": 0.02,
        **more,
    }


def windows(
    *medians: float,
    samples: int = 1000,
    server: str = "tfserving",
    protocol: str = "REST",
    **more: Any,
) -> list[Seen]:
    """One for each median latency, milliseconds; log-normal, so with a tail."""
    random = np.random.default_rng(5)
    made = []
    for number, median in enumerate(medians, 1):
        latencies = median * np.exp(random.normal(0, 0.3, samples))
        rate = more.get("rate", 1000 / median)
        told = said(**{"number": number, "requests": samples, **more, "rate": rate})
        made.append(Seen(endpoint(server, protocol), told, latencies, float(number)))
    return made
