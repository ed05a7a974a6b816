"""What the load runs found: MLPerf's scenarios, throughput by clients, latency by offered load, ratios.

Every figure comes from windows: runs of the same kind in which the servers take turns (A/B/A/B). What a
reader must know before quoting a figure stands beside it: ``validity``, ``reasons``, ``unstable``, ``client``.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pipelines.fact import Facts
from pipelines.facts.base import Protocol

Scenario = Literal["SingleStream", "MultiStream", "Server", "Offline"]
"""MLPerf Inference's: one request after the other, several at once, Poisson arrivals, everything at once."""

Validity = Literal["VALID", "INVALID", "VOID"]
"""LoadGen's word over all windows, and VOID where an answer was wrong: then no figure may be shown."""

Quantity = Literal["requests_per_second", "p50_ms", "p90_ms", "p99_ms"]

IntervalKind = Literal["bootstrap-t", "t"]
"""How a ratio's interval was made: from six pairs of windows on by the bootstrap, of fewer by Student's t."""


class PercentileFacts(Facts):
    """A percentile of latency. It is here only where there were enough samples for it."""

    rank: float = Field(description="50, 90, 95, 99, 99.9")
    ms: float = Field(description="Of the samples of all windows, as LoadGen takes it")
    at_most_ms: float = Field(
        description="Early stopping's estimate: with 99 % confidence the percentile is not above it"
    )


class CurvePoint(Facts):
    """A point of the distribution of latencies: so many per cent of the samples took no longer."""

    rank: float = Field(description="0 to 100; ends at the highest percentile")
    ms: float


class WindowFacts(Facts):
    """One run of LoadGen; the other server's came before and after it."""

    number: int = Field(description="1, 2, 3 in the order of time")
    started: float = Field(description="Seconds after the load began")
    requests: int
    wrong: int
    seconds: float
    requests_per_second: float
    p50_ms: float = Field(description="0 for Offline, which has no latencies")
    p90_ms: float | None = Field(None, description="Null where the window has too few samples")
    p99_ms: float | None = Field(description="Null where the window has too few samples")
    p99_9_ms: float | None = Field(None, description="Null where the window has too few samples")
    validity: Validity
    reasons: list[str] = []


class ClientFacts(Facts):
    """What the load generator itself used: a figure that the client limits says nothing of the server."""

    cores: float = Field(description="Processor time over wall time of its process: 1.0 is a core")
    lag_p50_ms: float = Field(description="From when a request was due to when it was sent, median")
    lag_p99_ms: float = Field(description="The same, 99th percentile of what was seen")
    saturated: bool
    why: str = Field("", description="Why it counts as saturated, with the bound; empty if not")


class LoadedFacts(Facts):
    """What every figure under load has beside it."""

    server: str = Field(description="The server's label, as in servers[]")
    protocol: Protocol
    requests: int
    wrong: int = Field(description="Answers that were not the expected ones; more than 0 is VOID")
    first_problem: str = Field("", description="The first wrong answer, for people")
    validity: Validity = "VALID"
    reasons: list[str] = Field([], description="Why it is INVALID or VOID; empty if VALID")
    unstable: bool = Field(
        False, description="Windows differ by more than 10 % in any of the figures that are shown"
    )
    unstable_in: list[str] = Field(
        [], description="In which: names in spreads; a claim of another one is not touched by it"
    )
    spread: float | None = Field(
        None,
        description="The largest of spreads; 0.1 is 10 %. Null where there are fewer than three windows",
    )
    spreads: dict[str, float] = Field(
        {},
        description="By figure ('requests_per_second', 'p50_ms', ... 'p99.9_ms', those that are shown): "
        "largest relative difference of a window from their median",
    )
    windows: list[WindowFacts] = []
    client: ClientFacts | None = None

    def is_unstable(self, quantity: str) -> bool:
        """Whether windows differ too much in this figure; a report without ``spreads`` says it of all at once."""
        return quantity in self.unstable_in if self.spreads else self.unstable


class ScenarioFacts(LoadedFacts):
    """One endpoint under one of MLPerf's scenarios."""

    scenario: Scenario
    requests_per_second: float = Field(description="Answered; median of the windows")
    target_per_second: float | None = Field(
        None, description="Offered load that was asked for, requests a second; Server only"
    )
    offered_per_second: float | None = Field(
        None,
        description="Offered load as LoadGen's schedule made it, median of the windows; Server only",
    )
    bound_ms: float | None = Field(
        None, description="Latency that 99 % must keep for LoadGen to say VALID; Server only"
    )
    samples_per_query: int = Field(1, description="Requests that are sent at once; MultiStream 8")
    percentiles: list[PercentileFacts] = Field(
        [],
        description="Latency of a query, counted from the scheduled time in the Server scenario; "
        "empty for Offline, where a sample's latency says how late in the batch it came",
    )
    curve: list[CurvePoint] = Field([], description="The distribution, for the chart")
    mean_ms: float | None = None
    max_ms: float | None = None
    histogram: str = Field(
        "", description="HDR histogram in its log format; relative to the version's folder"
    )

    @property
    def offered(self) -> float | None:
        """Requests a second that arrived; what was asked for in a report that does not tell."""
        return self.offered_per_second or self.target_per_second

    def percentile(self, rank: float) -> PercentileFacts | None:
        """The percentile of that rank; None where there were too few samples for it."""
        return next((each for each in self.percentiles if each.rank == rank), None)


class ThroughputFacts(LoadedFacts):
    """So many requests under way at any time (LoadGen's Offline scenario), one row a request."""

    clients: int = Field(description="Connections, each with one request under way")
    seconds: float = Field(description="All windows together")
    requests_per_second: float = Field(description="Median of the windows")


class KneeFacts(Facts):
    """Up to where an endpoint takes more load without its latency running away."""

    server: str
    protocol: Protocol
    per_second: float | None = Field(
        description="The highest offered load of the sweep before the knee; null where none was"
    )
    why: str = Field(description="How the knee was found, with figures, for people")


class RatioFacts(Facts):
    """One server's figure over the other's, from windows in which they took turns."""

    quantity: Quantity
    protocol: Protocol
    scenario: Scenario
    clients: int | None = Field(None, description="Offline: requests under way")
    numerator: str = Field(description="Server label")
    denominator: str = Field(description="Server label")
    ratio: float = Field(
        description="Geometric mean of the pairs' ratios; above 1: the numerator's figure is higher"
    )
    low: float = Field(description="Of the confidence interval, from the logarithms of the pairs")
    high: float
    confidence: float = 0.95
    interval: IntervalKind = Field("bootstrap-t", description="How the interval was made")
    pairs: int = Field(description="Windows on each side")
    resamples: int = Field(description="Of the bootstrap; 0 for Student's t")
    usable: bool = Field(
        description="Both figures are VALID and stable, and the client was no limit"
    )
    why_not: str = Field("", description="What stands against it; empty if usable")


class ConditionsFacts(Facts):
    """What one endpoint was measured with; the other side's must be the same."""

    server: str
    protocol: Protocol
    rows: int = Field(1, description="In a request")
    request_bytes: int = Field(description="Median body of a request, without heads")
    answer_bytes: int = Field(description="Median body of an answer, without heads")
    workers: int | None = Field(description="Processes that run the model; null where unknown")
    threads: int | None = Field(description="Threads that one of them computes with")
    client_threads: int = Field(1, description="Of the load generator, for sending and reading")


class LoadFacts(Facts):
    """Everything that the load runs found."""

    quick: bool = Field(description="Short windows: good for a look, not for quoting")
    short: bool = Field(
        False,
        description="Not quick, but less than MLPerf's 600 s for a scenario: not by MLPerf's rule",
    )
    engine: str = Field(description="'MLPerf LoadGen 6.0.17'")
    seconds_per_scenario: float = Field(description="All windows of one scenario of one endpoint")
    windows: int
    seed: int
    scenarios: list[ScenarioFacts] = []
    throughput: list[ThroughputFacts] = []
    sweep: list[ScenarioFacts] = Field(
        [], description="Server scenario at rising offered load, by endpoint in that order"
    )
    knees: list[KneeFacts] = []
    ratios: list[RatioFacts] = []
    conditions: list[ConditionsFacts] = []
    differences: list[str] = Field(
        [], description="Where the two sides were not measured alike; each a sentence"
    )

    @property
    def one_client(self) -> list[ScenarioFacts]:
        """One request after the other, a row each."""
        return [each for each in self.scenarios if each.scenario == "SingleStream"]

    @property
    def rows(self) -> list[LoadedFacts]:
        """Everything that was measured under load."""
        return [*self.scenarios, *self.throughput, *self.sweep]
