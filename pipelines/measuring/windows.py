"""The windows that the load generator has told of, with their latencies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipelines.facts import ClientFacts, WindowFacts
from serving.endpoints import Endpoint
from serving.load.early_stopping import estimate

BUSY_CORES = 0.9
"""Of this much of a core on, the client may be the limit: it sends from one thread."""
LAG_SHARE = 0.1
"""A send lag above this share of the latency, both 99th percentiles, is not the server's latency any more."""


@dataclass(frozen=True)
class Seen:
    """One window.

    Attributes:
        endpoint: that was loaded.
        said: what the load generator told; see ``serving.load.schedule``.
        latencies_ms: (N,) of its queries.
        began: seconds after the load began.
    """

    endpoint: Endpoint
    said: Mapping[str, Any]
    latencies_ms: np.ndarray
    began: float

    @property
    def rate(self) -> float:
        return float(self.said["rate"])

    @property
    def p50_ms(self) -> float:
        return float(np.median(self.latencies_ms)) if len(self.latencies_ms) else 0.0

    def percentile_ms(self, rank: float) -> float:
        """As LoadGen takes it, 0 to 100, whether or not there are enough samples; 0 where there is none."""
        count = len(self.latencies_ms)
        return float(np.sort(self.latencies_ms)[int(count * rank / 100)]) if count else 0.0

    def _supported_ms(self, rank: float) -> float | None:
        found = estimate(self.latencies_ms, rank / 100)
        return found[0] if found else None

    def facts(self) -> WindowFacts:
        said = self.said
        p90, p99, p99_9 = (self._supported_ms(rank) for rank in (90, 99, 99.9))
        return WindowFacts(
            number=said["number"],
            started=self.began,
            requests=said["requests"],
            wrong=said["wrong"],
            seconds=said["seconds"],
            requests_per_second=self.rate,
            p50_ms=self.p50_ms,
            p90_ms=p90,
            p99_ms=p99,
            p99_9_ms=p99_9,
            validity=said["validity"],
            reasons=list(said["reasons"]),
        )


def client_of(windows: Sequence[Seen], latencies_ms: np.ndarray | None) -> ClientFacts:
    """What the load generator used in these windows; the worst of them counts.

    Args:
        windows: of one figure.
        latencies_ms: to hold the lag against; None where latency says nothing.
    """
    cores = max(float(each.said["cores"]) for each in windows)
    lag_p50 = float(np.median([each.said["lag_p50_ms"] for each in windows]))
    lag_p99 = float(np.median([each.said["lag_p99_ms"] for each in windows]))
    why = []
    if cores > BUSY_CORES:
        why.append(f"it used {cores:.2f} of a core, more than {BUSY_CORES}")
    if latencies_ms is not None and len(latencies_ms):
        bound = LAG_SHARE * float(np.percentile(latencies_ms, 99))
        if lag_p99 > bound:
            why.append(f"it sent up to {lag_p99:.2f} ms late (p99), more than {bound:.2f} ms")
    return ClientFacts(
        cores=cores,
        lag_p50_ms=lag_p50,
        lag_p99_ms=lag_p99,
        saturated=bool(why),
        why="; ".join(why),
    )
