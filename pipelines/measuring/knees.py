"""Where more load makes an endpoint's latency run away."""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.facts import KneeFacts, ScenarioFacts

KEPT_UP = 0.95
"""An endpoint that answers less than this share of what arrives falls behind."""
RUNS_AWAY = 3.0
"""Times the latency at the lowest load."""


def knee_of(points: Sequence[ScenarioFacts]) -> KneeFacts:
    """The highest offered load before the first that is not answered as it arrives, or only much later.

    Args:
        points: of one endpoint, at least one. What arrived need not rise as what was asked for does.
    """
    points = sorted(points, key=lambda point: point.offered or 0.0)
    first = points[0]
    base = _median(first)
    kept: float | None = None
    for point in points:
        offered = point.offered or 0.0
        if why := _beyond(point, base):
            return _knee(first, kept, f"at {offered:,.0f} requests/s {why}")
        kept = offered
    return _knee(first, kept, "no knee up to the highest load of the sweep")


def _beyond(point: ScenarioFacts, base: float | None) -> str:
    offered, median = point.offered or 0.0, _median(point)
    if point.validity == "VOID":
        return "answers are wrong"
    if point.requests_per_second < KEPT_UP * offered:
        return f"only {point.requests_per_second:,.0f} are answered"
    if base and median and median > RUNS_AWAY * base:
        return (
            f"median latency is {median:.1f} ms, {median / base:.1f} times that of the lowest load"
        )
    return ""


def _median(point: ScenarioFacts) -> float | None:
    found = point.percentile(50)
    return found.ms if found else None


def _knee(point: ScenarioFacts, per_second: float | None, why: str) -> KneeFacts:
    return KneeFacts(server=point.server, protocol=point.protocol, per_second=per_second, why=why)
