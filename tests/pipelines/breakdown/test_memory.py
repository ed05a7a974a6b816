"""A leak is told from noise and from warm-up."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from models.errors import ServerNotReady
from pipelines.breakdown.facts import Breakdown, Memory, MemoryRow, MemorySample
from pipelines.breakdown.judging import judge_breakdown
from pipelines.breakdown.memory import PEAK_SECONDS, MemoryPlan, growth_of, weigh
from pipelines.facts import Outcome

MIB = 2**20


class Swelling:
    """A server that weighs 900 MiB while it is asked, and 100 MiB otherwise; its own endpoint too."""

    spec = SimpleNamespace(label="Swelling")
    endpoint = SimpleNamespace(protocol="REST")
    memory_kind = "PSS"
    weight = 100 * MIB

    def resident_bytes(self) -> int:
        return self.weight

    def cpu_seconds(self) -> float:
        return 1.0

    def ask(self, _clients: int, requests: int) -> SimpleNamespace:
        self.weight = 900 * MIB
        time.sleep(5 * PEAK_SECONDS)
        self.weight = 100 * MIB
        return SimpleNamespace(total=requests, wrong=0)


def test_the_peak_is_seen_while_requests_are_under_way():
    server: Any = Swelling()
    row, _ = weigh(server, [server], MemoryPlan(requests=100, samples=4))
    assert (row.idle_bytes, row.peak_bytes, row.after_bytes) == (100 * MIB, 900 * MIB, 100 * MIB)
    assert max(sample.bytes for sample in row.samples) == 100 * MIB


def test_a_server_that_cannot_be_weighed_is_an_error():
    class Gone(Swelling):
        def resident_bytes(self) -> int:
            if self.weight > 100 * MIB:
                raise ServerNotReady("It is gone.")
            return self.weight

    server: Any = Gone()
    with pytest.raises(ServerNotReady):
        weigh(server, [server], MemoryPlan(requests=100, samples=4))


REQUESTS = np.arange(51) * 2000
NOISE = np.random.default_rng(3).normal(0, MIB, 51)


def samples(weights: np.ndarray) -> list[MemorySample]:
    return [
        MemorySample(requests=int(count), bytes=int(weight))
        for count, weight in zip(REQUESTS, weights, strict=True)
    ]


def test_a_leak_of_a_kilobyte_a_request_is_found_through_noise():
    growth, growing = growth_of(samples(300 * MIB + 1024 * REQUESTS + NOISE))
    assert growing
    assert 900 * 1024 < growth < 1150 * 1024  # per 1,000 requests


def test_noise_is_no_leak():
    assert not growth_of(samples(300 * MIB + NOISE))[1]


def test_growth_that_ends_with_the_warm_up_is_no_leak():
    warm_up = np.minimum(REQUESTS, 40_000) * 4096
    assert not growth_of(samples(300 * MIB + warm_up + NOISE))[1]


def test_a_trend_too_small_to_matter_is_no_leak():
    growth, growing = growth_of(samples(300 * MIB + 1.0 * REQUESTS))
    assert growth > 0
    assert not growing


def test_memory_that_does_not_move_has_no_growth():
    assert growth_of(samples(np.full(51, 300.0 * MIB))) == (0.0, False)


def test_a_leak_is_a_warning_in_the_checks_and_a_wrong_answer_a_failure(moment):
    row = MemoryRow(
        server="Leaking",
        kind="PSS",
        requests=1000,
        wrong=2,
        idle_bytes=1,
        peak_bytes=3,
        after_bytes=3,
        samples=[],
        growth_bytes_per_1000=2048.0,
        growing=True,
    )
    part = Memory(measured=moment, quick=False, digest="d", rows=[row], cpu=[])
    checks = judge_breakdown(Breakdown(memory=part))
    assert [check.outcome for check in checks] == [Outcome.FAIL, Outcome.WARNING]
    assert checks[0].figure == "2 wrong of 1,000"
    assert checks[1].figure.startswith("+2.0 KiB per 1,000 requests")
    quick = part.model_copy(update={"quick": True})  # warm-up grows, and says nothing
    assert [each.outcome for each in judge_breakdown(Breakdown(memory=quick))] == [Outcome.FAIL]
