"""What the stage that measures found, by server."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from models.framework import FrameworkName
from pipelines.fact import Facts
from pipelines.facts.load import LoadFacts


class ServerFacts(Facts):
    """One server as it was seen in this run."""

    name: str
    label: str = Field(
        description="What exactly ran: 'TorchServe 0.12.0', 'TF Serving API (embedded)'"
    )
    framework: FrameworkName
    where: str = Field(description="'process' or 'container'")
    ready_seconds: float = Field(description="From start to the first correct answer")
    idle_bytes: int | None = Field(description="Memory of the whole process tree before load")
    loaded_bytes: int | None = Field(description="The same after load")
    memory_kind: str = Field("", description="'PSS' or 'RSS' of processes, 'cgroup' of a container")
    cpu_ms_per_answer: float | None = Field(
        None,
        description="Processor time under load, user and system, of everything that it runs, over "
        "all answers of both protocols; the client's own is not in it",
    )


class Measurements(Facts):
    """What the stage that measures has to say."""

    measured: datetime
    digest: str = Field(
        "", description="Of what the figures depend on, and of how long they were measured"
    )
    servers: list[ServerFacts] = []
    load: LoadFacts | None = None
