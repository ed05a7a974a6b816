"""Part: what both servers weigh before, under and after many requests, and what they work for them."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from scipy.stats import kendalltau, theilslopes

from models.artifact import Manifest
from pipelines.breakdown.asking import Target, target_of
from pipelines.breakdown.digests import served_digest
from pipelines.breakdown.facts import CpuRow, Memory, MemoryRow, MemorySample
from pipelines.breakdown.servers import Wanted, running
from pipelines.workspace import Workspace, log
from serving.endpoints import PROTOCOLS, endpoints_of
from serving.server import Server

CLIENTS = 4
JUDGED_REQUESTS = 20_000
"""Fewer are the servers' warm-up, which grows: pools, caches, Java's heap."""

PEAK_SECONDS = 0.05
"""Between two looks at a server that is being asked: weighing all of its processes takes milliseconds."""

SIGNIFICANT = 0.01
NOTICEABLE = 0.01
"""Growth over the second half, as a share of the memory in it, below which nobody calls it a leak."""


@dataclass(frozen=True)
class MemoryPlan:
    """How many requests each server gets, half of them over either protocol, and how often it is weighed."""

    requests: int = 100_000
    samples: int = 50


FULL, QUICK = MemoryPlan(), MemoryPlan(requests=2_000, samples=20)


def measure_memory(space: Workspace, manifest: Manifest, plan: MemoryPlan) -> Memory:
    """One server after the other; each is weighed between requests, and for its peak meanwhile.

    Raises:
        ServerError: a server did not get ready.
        Unreachable: one is gone.
    """
    rows: list[MemoryRow] = []
    cpu: list[CpuRow] = []
    with running(space, Wanted(manifest), "memory") as servers:
        for server in servers:
            targets = [target_of(space, manifest, each) for each in endpoints_of(server.spec)]
            row, worked = weigh(server, targets, plan)
            rows.append(row)
            cpu += worked
    return Memory(
        measured=datetime.now(UTC),
        quick=plan != FULL,
        digest=served_digest(space, manifest, plan),
        rows=rows,
        cpu=cpu,
    )


def weigh(
    server: Server, targets: Sequence[Target], plan: MemoryPlan
) -> tuple[MemoryRow, list[CpuRow]]:
    """Ask a running server, and weigh it as often as the plan says.

    Args:
        server: ready.
        targets: of its protocols, asked in turn.
        plan: how many requests.
    """
    samples = [MemorySample(requests=0, bytes=server.resident_bytes())]
    asked: Counter[str] = Counter()
    worked: Counter[str] = Counter()
    peaks = [samples[0].bytes]
    wrong, a_time = 0, max(1, plan.requests // plan.samples)
    for number in range(plan.samples):
        target = targets[number % len(targets)]
        before = server.cpu_seconds()
        with _watched(server) as peak:
            observed = target.ask(CLIENTS, requests=a_time)
        peaks.append(peak[0])
        worked[target.endpoint.protocol] += server.cpu_seconds() - before  # type: ignore[assignment]
        asked[target.endpoint.protocol] += observed.total
        wrong += observed.wrong
        samples.append(MemorySample(requests=asked.total(), bytes=server.resident_bytes()))
        if (number + 1) % max(1, plan.samples // 5) == 0:
            log.info(
                f"Memory: {server.spec.label}, {asked.total():,} of {plan.requests:,} requests, "
                f"{samples[-1].bytes / 2**20:.0f} MiB"
            )
    growth, growing = growth_of(samples)
    growing = growing and plan.requests >= JUDGED_REQUESTS
    row = MemoryRow(
        server=server.spec.label,
        kind=server.memory_kind,
        requests=asked.total(),
        wrong=wrong,
        idle_bytes=samples[0].bytes,
        peak_bytes=max(*peaks, *(sample.bytes for sample in samples)),
        after_bytes=samples[-1].bytes,
        samples=samples,
        growth_bytes_per_1000=growth,
        growing=growing,
    )
    cpu = [
        CpuRow(
            server=server.spec.label,
            protocol="REST" if protocol == "REST" else "gRPC",
            requests=asked[protocol],
            cpu_seconds_per_1000=worked[protocol] / asked[protocol] * 1000,
        )
        for protocol in PROTOCOLS
        if asked[protocol]
    ]
    return row, cpu


@contextmanager
def _watched(server: Server) -> Iterator[list[int]]:
    """Weigh a server from a thread until the block ends; the one value is the most that was seen.

    Raises:
        ServerError: the server could not be weighed.
    """
    most, done, trouble = [0], threading.Event(), list[Exception]()

    def look() -> None:
        try:
            while not done.is_set():
                most[0] = max(most[0], server.resident_bytes())
                done.wait(PEAK_SECONDS)
        except Exception as error:
            trouble.append(error)

    thread = threading.Thread(target=look, name="peak", daemon=True)
    thread.start()
    try:
        yield most
    finally:
        done.set()
        thread.join()
    if trouble:
        raise trouble[0]


def growth_of(samples: Sequence[MemorySample]) -> tuple[float, bool]:
    """Growth in bytes per 1,000 requests over the second half, and whether it may be a leak.

    The first half is the server's warm-up: pools and caches fill once. Theil-Sen's slope and Kendall's tau hold
    for samples that jump, as those of an allocator do.

    Args:
        samples: in the order of time, at least four.
    """
    half = samples[len(samples) // 2 :]
    requests = np.array([sample.requests for sample in half], float)
    weights = np.array([sample.bytes for sample in half], float)
    slope = float(theilslopes(weights, requests)[0])
    if np.ptp(weights) == 0:
        return 0.0, False
    tau, chance = kendalltau(requests, weights)
    grown = slope * float(np.ptp(requests))
    growing = tau > 0 and chance < SIGNIFICANT and grown > NOTICEABLE * float(np.median(weights))
    return slope * 1000, bool(growing)
