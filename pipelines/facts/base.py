"""What all facts have in common."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import Field

from pipelines.fact import Facts

Protocol = Literal["REST", "gRPC"]


class Outcome(StrEnum):
    """How a check ended."""

    PASS = "pass"
    FAIL = "fail"
    SHORTFALL = "shortfall"
    """A real server falls short of what we ask; reported, not papered over, and not a failed run."""
    WARNING = "warning"
    """Not as it should be, and known to work all the same; not a failed run."""


class Check(Facts):
    """One yes-or-no question of the run, with its figure."""

    stage: str = Field(description="Stage that asked: train, verify, check, measure ...")
    subject: str = Field(
        description="What was judged: an artifact, a server and protocol, a framework"
    )
    question: str = Field(description="What was asked, as a short statement that should be true")
    outcome: Outcome
    figure: str = Field(description="What was found, with unit")
    limit: str = Field("", description="What it was held to")
    detail: str = Field("", description="Error name and message where it failed, for people")
