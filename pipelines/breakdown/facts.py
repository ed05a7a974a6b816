"""What the parts of the breakdown found out; they stand in ``report.json`` under ``breakdown``.

A part that has not been measured is null. Units are in the names.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from models.framework import FrameworkName
from pipelines.fact import Facts


class Part(Facts):
    """Base of the parts."""

    measured: datetime
    quick: bool = Field(description="Measured with few repetitions: good for orders of magnitude")
    digest: str = Field(description="Of all that the figures depend on; the same one is reused")


# ---- in a framework's own process, without a server ----


class RunnerAnswers(Facts):
    """Whether one way to run the model answers as the model in memory; asked before it is timed."""

    runner: str = Field(
        description="'Keras eager', 'tf.function', 'SavedModel', 'TFLite float32', 'TFLite int8', "
        "'PyTorch eager', 'TorchScript', 'torch.compile', 'ONNX Runtime'"
    )
    framework: FrameworkName
    threads: int
    rows: int = Field(description="Compared; 0 where it gave no answer")
    max_abs: float | None = Field(description="Largest difference; null where there is no answer")
    right: bool = Field(description="A runner whose answers are wrong has no timings")
    detail: str = Field("", description="Error name and message, for people")


class RunnerTiming(Facts):
    """One way to run the model, at one batch size, numpy in and numpy out."""

    runner: str
    framework: FrameworkName
    threads: int
    batch: int = Field(description="Rows a call")
    calls: int = Field(description="Timed, all rounds together; those of the warm-up are not in it")
    p50_ms: float = Field(description="Median time of a call")
    p90_ms: float | None = Field(description="Null for fewer than 44 calls")
    rows_per_second: float = Field(description="batch / median")


class AbsentRunner(Facts):
    """A way to run the model that is not there, and why."""

    runner: str
    framework: FrameworkName
    reason: str


class InProcess(Part):
    """Every way to run the model in its framework's process; runners take turns in rounds."""

    rounds: int
    batches: list[int]
    answers: list[RunnerAnswers]
    timings: list[RunnerTiming]
    absent: list[AbsentRunner] = []


# ---- what a server adds ----


class OverheadRow(Facts):
    """One endpoint's latency at one row a request, one client, in its parts. All are medians, milliseconds.

    ``served_ms = server_ms + protocol_ms + model_ms + rest_ms``
    """

    server: str
    protocol: Literal["REST", "gRPC"]
    requests: int = Field(description="To each of the two models")
    wrong: int = Field(description="Answers that were not right; more than 0 voids the row")
    request_bytes: int = Field(description="Body of one request; the same for both models")
    served_ms: float = Field(description="The real model, as a client sees it")
    noop_ms: float = Field(
        description="A model that computes nothing, with the same contract, on the same server"
    )
    model_ms: float = Field(description="The served file in-process, one row a call")
    server_ms: float = Field(description="noop_ms of the server's cheaper protocol")
    protocol_ms: float = Field(description="noop_ms - server_ms: what this protocol costs more")
    rest_ms: float = Field(
        description="served_ms - noop_ms - model_ms: what is in neither; below 0 where the model is "
        "faster inside the server than in-process"
    )


class Overhead(Part):
    """What server and protocol add to the model."""

    rows: list[OverheadRow]


# ---- batching on the server ----


class BatchingPoint(Facts):
    """One setting of a server's own batching, under closed-loop clients that send one row a request."""

    server: str
    protocol: Literal["REST", "gRPC"]
    batch: int = Field(description="max_batch_size, batchSize; 1 is without batching")
    delay_ms: float = Field(description="batch_timeout_micros / 1000, maxBatchDelay")
    clients: int
    requests: int
    wrong: int
    requests_per_second: float
    p50_ms: float
    p99_ms: float | None = Field(description="Null for fewer than 459 requests")
    p99_at_most_ms: float | None = Field(
        None, description="Early stopping's estimate: with 99 % confidence p99 is not above it"
    )
    within: bool = Field(
        description="p99_at_most_ms is known and within the bound, and no answer was wrong"
    )


class BatchingChoice(Facts):
    """The setting of a server with the highest throughput within the latency bound."""

    server: str
    best: BatchingPoint | None = Field(
        description="As the sweep measured it; that of without where what looked best there lost when both "
        "were measured again. Null where no setting keeps within the bound"
    )
    without: BatchingPoint | None = Field(
        description="The highest throughput within the bound without batching"
    )
    gain: float | None = Field(
        None,
        description="Throughput of best over that of without, both measured once more in turn; null "
        "where that was not done, or where what looked best lost",
    )
    gain_low: float | None = Field(None, description="Of its 95 % interval")
    gain_high: float | None = None
    reason: str = Field(description="The choice in words")


class Batching(Part):
    """A sweep of batch size and delay on each server."""

    bound_ms: float = Field(description="What p99_ms is held to")
    points: list[BatchingPoint]
    choices: list[BatchingChoice]


# ---- the start ----


class ColdStartRow(Facts):
    """One server from nothing to its first correct answer; medians of the repeats."""

    server: str
    where: str = Field(description="'process' or 'container'")
    repeats: int
    process_seconds: float | None = Field(
        description="Until its log says that it begins to load the model; null where it does not say"
    )
    load_seconds: float = Field(
        description="From there until the model can serve; from the start where that is null"
    )
    first_answer_seconds: float = Field(description="From there to the first correct answer")
    total_seconds: float


class ColdStart(Part):
    """Both servers' starts."""

    alone: bool = Field(description="Whether each started alone; else both at once")
    rows: list[ColdStartRow]


# ---- memory and processor time ----


class MemorySample(Facts):
    """What a server weighs after so many answers."""

    requests: int
    bytes: int


class MemoryRow(Facts):
    """One server's memory over many requests, all of its processes."""

    server: str
    kind: str = Field(description="'PSS' or 'RSS' of processes, 'cgroup' of a container")
    requests: int
    wrong: int
    idle_bytes: int = Field(description="Before the first request")
    peak_bytes: int = Field(
        description="The most that was seen, also while requests were under way, every 50 ms"
    )
    after_bytes: int = Field(description="After the last request")
    samples: list[MemorySample]
    growth_bytes_per_1000: float = Field(
        description="Theil-Sen slope over the second half of the samples: the median of the slopes of "
        "all pairs; a leak keeps it above 0"
    )
    growing: bool = Field(
        description="Whether it may be a leak: Kendall's tau finds a trend (p < 0.01) in the second "
        "half, and it adds up to more than 1 % of the memory in it. False for fewer than 20,000 "
        "requests, which are warm-up"
    )


class CpuRow(Facts):
    """Processor time of a server and all its processes, user and system; the client's is not in it."""

    server: str
    protocol: Literal["REST", "gRPC"]
    requests: int
    cpu_seconds_per_1000: float = Field(description="Per 1,000 answers")


class Memory(Part):
    """What both servers weigh before, under and after many requests, and what they work for them."""

    rows: list[MemoryRow]
    cpu: list[CpuRow]


class Breakdown(Facts):
    """All parts; null is not measured."""

    in_process: InProcess | None = None
    overhead: Overhead | None = None
    batching: Batching | None = None
    cold_start: ColdStart | None = None
    memory: Memory | None = None


KINDS: dict[str, type[Part]] = {
    "in-process": InProcess,
    "overhead": Overhead,
    "batching": Batching,
    "cold-start": ColdStart,
    "memory": Memory,
}
"""By the name on the command line, which is that of the file of facts; a Breakdown's field has ``_`` for ``-``."""
