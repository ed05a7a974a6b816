"""A scenario's figures from its windows, and what must be known before they are quoted."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

import numpy as np

from pipelines.facts import (
    CurvePoint,
    PercentileFacts,
    ScenarioFacts,
    ThroughputFacts,
    Validity,
)
from pipelines.measuring.windows import Seen, client_of
from serving.load.early_stopping import estimate
from serving.load.window import SAMPLES_PER_QUERY

RANKS = (50.0, 90.0, 95.0, 99.0, 99.9)
CURVE = (0, 1, 2, 5, 10, 20, 30, 40, 50, 60, 70, 75, 80, 85, 90, 92, 94, 95, 96, 97, 98, 99,
         99.25, 99.5, 99.75, 99.9, 99.95, 99.99)  # fmt: skip
STABLE = 0.1
"""Windows that differ by no more than this share of their median are taken for the same."""
FEWEST_WINDOWS = 3


def scenario_facts(windows: Sequence[Seen], histogram: str = "") -> ScenarioFacts:
    """Everything about one endpoint under one scenario.

    Args:
        windows: in the order of time.
        histogram: where all their latencies lie, relative to the version's folder.
    """
    said = windows[0].said
    offline = said["scenario"] == "Offline"
    latencies = np.concatenate([each.latencies_ms for each in windows])
    percentiles = [] if offline else percentiles_of(latencies)
    return ScenarioFacts(
        **_loaded(windows, None if offline else latencies, percentiles),
        scenario=said["scenario"],
        requests_per_second=median(each.rate for each in windows),
        target_per_second=said["target"],
        offered_per_second=_offered(windows),
        bound_ms=said["bound_ms"],
        samples_per_query=SAMPLES_PER_QUERY if said["scenario"] == "MultiStream" else 1,
        percentiles=percentiles,
        curve=[] if offline else curve_of(latencies),
        mean_ms=None if offline or not len(latencies) else float(latencies.mean()),
        max_ms=None if offline or not len(latencies) else float(latencies.max()),
        histogram=histogram,
    )


def _offered(windows: Sequence[Seen]) -> float | None:
    told = [each.said["offered"] for each in windows if each.said["offered"] is not None]
    return median(told) if told else None


def throughput_facts(windows: Sequence[Seen], clients: int) -> ThroughputFacts:
    """So many requests under way at any time."""
    return ThroughputFacts(
        **_loaded(windows, None),
        clients=clients,
        seconds=sum(each.said["seconds"] for each in windows),
        requests_per_second=median(each.rate for each in windows),
    )


def percentiles_of(latencies_ms: np.ndarray) -> list[PercentileFacts]:
    """Those for which there are enough samples; see :mod:`serving.load.early_stopping`."""
    found = ((rank, estimate(latencies_ms, rank / 100)) for rank in RANKS)
    return [
        PercentileFacts(rank=rank, ms=pair[0], at_most_ms=pair[1]) for rank, pair in found if pair
    ]


def curve_of(latencies_ms: np.ndarray) -> list[CurvePoint]:
    """The distribution, up to the highest percentile that may be shown."""
    shown = percentiles_of(latencies_ms)
    if not shown:
        return []
    ranks = [rank for rank in CURVE if rank <= shown[-1].rank]
    values = np.percentile(latencies_ms, ranks)
    return [CurvePoint(rank=rank, ms=float(ms)) for rank, ms in zip(ranks, values, strict=True)]


def spreads_of(windows: Sequence[Seen], percentiles: Sequence[PercentileFacts]) -> dict[str, float]:
    """Of every figure that is shown, the largest difference of a window from the median window, as a share of it.

    A percentile is taken of each window as it is, however few samples it has: where these are too few to agree,
    the figure is not stable, and says so.

    Args:
        windows: of one figure; fewer than three say nothing.
        percentiles: that are shown of all of them together.
    """
    if len(windows) < FEWEST_WINDOWS:
        return {}
    latency = {
        f"p{each.rank:g}_ms": _apart([window.percentile_ms(each.rank) for window in windows])
        for each in percentiles
    }
    return {"requests_per_second": _apart([each.rate for each in windows])} | latency


def _apart(values: Sequence[float]) -> float:
    middle = median(values)
    return max(abs(value - middle) for value in values) / middle if middle else float("inf")


def _loaded(
    windows: Sequence[Seen],
    latencies_ms: np.ndarray | None,
    percentiles: Sequence[PercentileFacts] = (),
) -> dict[str, Any]:
    endpoint = windows[0].endpoint
    validity, reasons = validity_of(windows)
    spreads = spreads_of(windows, percentiles)
    unstable_in = [quantity for quantity, spread in spreads.items() if spread > STABLE]
    return {
        "server": endpoint.label,
        "protocol": endpoint.protocol,
        "requests": sum(each.said["requests"] for each in windows),
        "wrong": sum(each.said["wrong"] for each in windows),
        "first_problem": next((e.said["problem"] for e in windows if e.said["problem"]), "")[:300],
        "validity": validity,
        "reasons": reasons,
        "unstable": bool(unstable_in),
        "unstable_in": unstable_in,
        "spread": max(spreads.values(), default=None),
        "spreads": spreads,
        "windows": [each.facts() for each in windows],
        "client": client_of(windows, latencies_ms),
    }


def validity_of(windows: Sequence[Seen]) -> tuple[Validity, list[str]]:
    """The worst word of all windows, with every reason once."""
    words = {each.said["validity"] for each in windows}
    reasons = list(dict.fromkeys(reason for each in windows for reason in each.said["reasons"]))
    if "VOID" in words:
        return "VOID", [reason[:300] for reason in reasons]
    return ("INVALID" if "INVALID" in words else "VALID"), reasons
