"""What the figures support in words: the verdict of the measurement, made by ``pipelines.report.claims``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pipelines.fact import Facts
from pipelines.facts.base import Protocol
from pipelines.facts.load import Quantity, Scenario

Ruling = Literal["different", "alike", "undecided", "refused"]
"""The interval of the ratio lies beyond 1; lies within 5 % of it; holds 1; or the figures are not to be quoted."""


class ClaimFacts(Facts):
    """One comparison of both servers, and how far its figures carry it."""

    ruling: Ruling
    sentence: str = Field(description="'TorchServe 0.12.0 is 1.8 to 2.1 times slower at p99 ...'")
    figures: str = Field(description="The ratio, its interval, and how it came about")
    quantity: Quantity
    scenario: Scenario
    protocol: Protocol
    clients: int | None = None
    worse: str = Field("", description="Server label: the slower one, where there is a difference")
    better: str = ""
    ratio: float | None = Field(
        None, description="Turned so that it is at least 1; null where refused"
    )
    low: float | None = Field(None, description="Of its confidence interval")
    high: float | None = None
    quick: bool = Field(description="From short windows: good for a look, not for quoting")
    short: bool = Field(
        False, description="From less than MLPerf's 600 s a scenario, and not quick"
    )
