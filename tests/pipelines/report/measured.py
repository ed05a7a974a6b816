"""Made-up measurements for tests: the shape of a real run, none of its evidence."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from statistics import NormalDist
from typing import Any, Literal

from models.framework import FrameworkName
from pipelines.breakdown.facts import (
    AbsentRunner,
    Batching,
    BatchingChoice,
    BatchingPoint,
    Breakdown,
    ColdStart,
    ColdStartRow,
    CpuRow,
    InProcess,
    Memory,
    MemoryRow,
    MemorySample,
    Overhead,
    OverheadRow,
    RunnerAnswers,
    RunnerTiming,
)
from pipelines.facts import (
    ClientFacts,
    ConditionsFacts,
    CurvePoint,
    KneeFacts,
    LoadFacts,
    PercentileFacts,
    Protocol,
    RatioFacts,
    RunReport,
    Scenario,
    ScenarioFacts,
    ThroughputFacts,
    WindowFacts,
)
from pipelines.report.claims import claims_of

TF, TORCH = "TF Serving API (embedded)", "TorchServe 0.12.0"
ENDPOINTS: dict[tuple[str, Protocol], tuple[float, float]] = {
    (TF, "REST"): (1.1, 0.22),
    (TF, "gRPC"): (0.8, 0.18),
    (TORCH, "REST"): (2.6, 0.28),
    (TORCH, "gRPC"): (2.9, 0.34),
}
"""Median latency in ms, and the spread of its logarithm."""
MEASURED = datetime(2026, 3, 5, 12, 20, tzinfo=UTC)
PART: dict[str, Any] = {"measured": MEASURED, "quick": True, "digest": "ab" * 32}
RANKS = (0.1, 1, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 97.5, 99, 99.5, 99.9)


def measured_report(report: RunReport) -> RunReport:
    """Measured by the rules: TorchServe over gRPC is unstable, the client limits TF Serving over gRPC."""
    load = _load()
    return report.model_copy(
        update={
            "load": load,
            "claims": claims_of(load),
            "breakdown": _breakdown(),
        }
    )


def spoiled_report(report: RunReport) -> RunReport:
    """The same, with a wrong answer in everything that TorchServe gave over REST."""
    whole = measured_report(report)
    assert whole.load
    load = whole.load
    wrong = {"wrong": 2, "validity": "VOID", "reasons": ["2 of 9,000 answers were wrong"],
             "first_problem": "row 3: logits differ by 0.4"}  # fmt: skip

    def spoil(row: Any) -> Any:
        return (
            row.model_copy(update=wrong) if (row.server, row.protocol) == (TORCH, "REST") else row
        )

    ratios = [
        each.model_copy(update={"usable": False, "why_not": f"{TORCH} over REST is VOID"})
        if each.protocol == "REST"
        else each
        for each in load.ratios
    ]
    lists = {name: [spoil(row) for row in getattr(load, name)]
             for name in ("scenarios", "throughput", "sweep")}  # fmt: skip
    spoiled = load.model_copy(update={**lists, "ratios": ratios})
    return whole.model_copy(
        update={
            "load": spoiled,
            "claims": claims_of(spoiled),
        }
    )


def _load() -> LoadFacts:
    return LoadFacts(
        quick=True,
        engine="MLPerf LoadGen 6.0.17",
        seconds_per_scenario=12.0,
        windows=3,
        seed=7,
        scenarios=[
            _scenario(scenario, server, protocol)
            for scenario in ("SingleStream", "Server", "Offline")
            for server, protocol in ENDPOINTS
        ],  # type: ignore[misc]
        throughput=[
            _throughput(server, protocol, clients)
            for server, protocol in ENDPOINTS
            for clients in (1, 2, 4, 8, 16, 32)
        ],
        sweep=[
            _swept(server, protocol, part)
            for server, protocol in ENDPOINTS
            for part in (0.1, 0.25, 0.4, 0.55, 0.7, 0.85, 0.95, 1.05)
        ],
        knees=[
            KneeFacts(
                server=server,
                protocol=protocol,
                per_second=_knee(server, protocol),
                why="at 900 requests/s only 700 are answered" if protocol == "REST"
                else "no knee up to the highest load of the sweep",
            )
            for server, protocol in ENDPOINTS
        ],
        ratios=_ratios(),
        conditions=[
            ConditionsFacts(server=server, protocol=protocol, request_bytes=612, answer_bytes=310,
                            workers=1, threads=2)
            for server, protocol in ENDPOINTS
        ],
        differences=[f"{TORCH} computes with 1 thread, {TF} with 2"],
    )  # fmt: skip


def _knee(server: str, protocol: Protocol) -> float:
    """Over gRPC the sweep ends before there is one."""
    capacity = _capacity(server, protocol)
    return 0.7 * capacity if protocol == "REST" else round(1.05 * capacity, 1)


def _capacity(server: str, protocol: Protocol) -> float:
    return 1500 / ENDPOINTS[server, protocol][0]


def _marks(server: str, protocol: Protocol) -> dict[str, Any]:
    saturated = (server, protocol) == (TF, "gRPC")
    unstable = (server, protocol) == (TORCH, "gRPC")
    return {
        "client": ClientFacts(
            cores=0.96 if saturated else 0.4,
            lag_p50_ms=0.01,
            lag_p99_ms=0.6 if saturated else 0.05,
            saturated=saturated,
            why="0.96 of its core, above 0.8" if saturated else "",
        ),
        "unstable": unstable,
        "spread": 0.17 if unstable else 0.03,
    }


def _scenario(scenario: Scenario, server: str, protocol: Protocol) -> ScenarioFacts:
    median, sigma = ENDPOINTS[server, protocol]
    stretch = {"SingleStream": 1.0, "Server": 1.4}.get(scenario, 1.0)

    def at(rank: float) -> float:
        tail = 1 + 3 * max(0.0, rank / 100 - 0.985) / 0.014
        return round(
            median * stretch * tail * math.exp(sigma * NormalDist().inv_cdf(rank / 100)), 4
        )

    offline = scenario == "Offline"
    ranks = (50, 90, 95, 99, 99.9) if scenario == "SingleStream" else (50, 90, 95, 99)
    late = scenario == "Server" and (server, protocol) == (TORCH, "gRPC")
    return ScenarioFacts(
        server=server,
        protocol=protocol,
        scenario=scenario,
        requests=9000,
        wrong=0,
        validity="INVALID" if late else "VALID",
        reasons=["99 % of the requests took up to 14.2 ms, and 10 ms are allowed"] if late else [],
        requests_per_second=round(1000 / median, 1),
        target_per_second=200.0 if scenario == "Server" else None,
        bound_ms=10.0 if scenario == "Server" else None,
        percentiles=[] if offline else [
            PercentileFacts(rank=rank, ms=at(rank), at_most_ms=at(rank) * 1.06) for rank in ranks
        ],
        curve=[] if offline else [
            CurvePoint(rank=rank, ms=at(rank)) for rank in RANKS if rank <= ranks[-1]
        ],
        mean_ms=None if offline else median,
        max_ms=None if offline else median * 9,
        windows=[
            WindowFacts(number=number, started=10.0 * number, requests=3000, wrong=0, seconds=4.0,
                        requests_per_second=1000 / median, p50_ms=median, p99_ms=None,
                        validity="VALID")
            for number in (1, 2, 3)
        ],
        **_marks(server, protocol),
    )  # fmt: skip


def _throughput(server: str, protocol: Protocol, clients: int) -> ThroughputFacts:
    capacity = _capacity(server, protocol)
    rate = capacity * clients / (clients + 0.9)
    return ThroughputFacts(
        server=server,
        protocol=protocol,
        clients=clients,
        requests=int(rate * 3),
        wrong=0,
        seconds=3.0,
        requests_per_second=rate,
        windows=[
            WindowFacts(number=number, started=0, requests=int(rate), wrong=0, seconds=1.0,
                        requests_per_second=rate * (0.95 + 0.05 * number), p50_ms=1.0, p99_ms=None,
                        validity="VALID")
            for number in (0, 1, 2)
        ],
        **_marks(server, protocol),
    )  # fmt: skip


def _swept(server: str, protocol: Protocol, part: float) -> ScenarioFacts:
    """Latency as in an M/M/1 queue; the last point is beyond what the server can do."""
    base = _scenario("Server", server, protocol)
    grown = 1 / max(1 - part, 0.04)
    late = part > 0.9
    return base.model_copy(
        update={
            "target_per_second": round(_capacity(server, protocol) * part, 1),
            "percentiles": [
                each.model_copy(update={"ms": each.ms * grown}) for each in base.percentiles
            ],
            "validity": "INVALID" if late else "VALID",
            "reasons": ["99 % of the requests took longer than 10 ms"] if late else [],
        }
    )


def ratio(**changes: Any) -> RatioFacts:
    """TorchServe's p99 over TF Serving's: 1.95, 1.8 to 2.1."""
    given: dict[str, Any] = {
        "quantity": "p99_ms", "protocol": "REST", "scenario": "SingleStream", "numerator": TORCH,
        "denominator": TF, "ratio": 1.95, "low": 1.8, "high": 2.1, "pairs": 3, "resamples": 2000,
        "usable": True,
    }  # fmt: skip
    return RatioFacts(**(given | changes))


def _ratios() -> list[RatioFacts]:
    unstable = {"usable": False, "why_not": f"{TORCH} over gRPC is UNSTABLE"}
    return [
        ratio(quantity="p50_ms", ratio=2.36, low=2.3, high=2.42),
        ratio(),
        ratio(protocol="gRPC", ratio=3.4, low=2.6, high=4.4, **unstable),
        ratio(scenario="Server", ratio=1.1, low=0.93, high=1.31),
        ratio(quantity="requests_per_second", scenario="Offline", clients=32, ratio=0.42, low=0.4,
              high=0.45),
        ratio(quantity="requests_per_second", scenario="Offline", clients=1, ratio=0.99, low=0.97,
              high=1.02),
    ]  # fmt: skip


RUNNERS: tuple[tuple[str, FrameworkName, int, float, float], ...] = (
    ("Keras eager", "tensorflow", 2, 3.1, 0.012),
    ("tf.function", "tensorflow", 2, 0.42, 0.009),
    ("SavedModel", "tensorflow", 2, 0.31, 0.009),
    ("TFLite float32", "tensorflow", 1, 0.03, 0.024),
    ("TFLite float32", "tensorflow", 2, 0.034, 0.014),
    ("PyTorch eager", "pytorch", 2, 0.25, 0.011),
    ("TorchScript", "pytorch", 2, 0.21, 0.011),
    ("torch.compile", "pytorch", 2, 0.12, 0.01),
    ("ONNX Runtime", "pytorch", 1, 0.028, 0.016),
    ("ONNX Runtime", "pytorch", 2, 0.03, 0.009),
)
SIZES = [1, 4, 16, 64, 256]


def _breakdown() -> Breakdown:
    return Breakdown(
        in_process=_in_process(),
        overhead=_overhead(),
        batching=_batching(),
        cold_start=ColdStart(
            **PART,
            alone=True,
            rows=[
                ColdStartRow(server=TF, where="process", repeats=3, process_seconds=0.9,
                             load_seconds=1.3, first_answer_seconds=0.1, total_seconds=2.3),
                ColdStartRow(server=TORCH, where="process", repeats=3, process_seconds=1.2,
                             load_seconds=4.4, first_answer_seconds=0.3, total_seconds=5.9),
            ],
        ),
        memory=_memory(),
    )  # fmt: skip


def _in_process() -> InProcess:
    return InProcess(
        **PART,
        rounds=3,
        batches=SIZES,
        answers=[
            RunnerAnswers(runner=runner, framework=framework, threads=threads, rows=360,
                          max_abs=1e-6, right=True)
            for runner, framework, threads, *_ in RUNNERS
        ] + [
            RunnerAnswers(runner="TFLite int8", framework="tensorflow", threads=1, rows=360,
                          max_abs=3.1, right=False, detail="ParityError: 12 % of the labels differ")
        ],
        timings=[
            RunnerTiming(runner=runner, framework=framework, threads=threads, batch=size, calls=200,
                         p50_ms=start + each * size, p90_ms=1.2 * (start + each * size),
                         rows_per_second=1000 * size / (start + each * size))
            for runner, framework, threads, start, each in RUNNERS
            for size in SIZES
        ],
        absent=[AbsentRunner(runner="torch.compile", framework="pytorch",
                             reason="no C++ compiler on this machine")],
    )  # fmt: skip


def _overhead() -> Overhead:
    parts: dict[tuple[str, Protocol], tuple[float, float, float, float, int]] = {
        (TF, "REST"): (0.31, 0.40, 0.25, 0.14, 0),
        (TF, "gRPC"): (0.31, 0.40, 0.0, 0.09, 0),
        (TORCH, "REST"): (0.21, 1.9, 0.0, 0.49, 0),
        (TORCH, "gRPC"): (0.21, 1.9, 0.6, -0.08, 3),
    }
    return Overhead(
        **PART,
        rows=[
            OverheadRow(server=server, protocol=protocol, requests=2000, wrong=wrong,
                        request_bytes=612, served_ms=model + added + wire + rest,
                        noop_ms=added + wire, model_ms=model, server_ms=added, protocol_ms=wire,
                        rest_ms=rest)
            for (server, protocol), (model, added, wire, rest, wrong) in parts.items()
        ],
    )  # fmt: skip


def _batching() -> Batching:
    def point(server: str, batch: int, delay: float) -> BatchingPoint:
        speed = 700 if server == TF else 400
        p99 = (9 if server == TF else 14) + delay * 1.5 + batch / 3
        return BatchingPoint(server=server, protocol="gRPC", batch=batch, delay_ms=delay,
                             clients=32, requests=4000, wrong=1 if (batch, delay) == (8, 5) else 0,
                             requests_per_second=speed * batch**0.4 / (1 + delay / 30),
                             p50_ms=p99 / 2, p99_ms=p99,
                             within=p99 <= 25 and (batch, delay) != (8, 5))  # fmt: skip

    points = [
        point(server, batch, delay)
        for server in (TF, TORCH)
        for batch in (1, 8, 32)
        for delay in ((0.0,) if batch == 1 else (1.0, 5.0, 10.0))
    ]

    def best(server: str, batched: bool) -> BatchingPoint | None:
        able = [p for p in points if p.server == server and p.within and (p.batch > 1) == batched]
        return max(able, key=lambda p: p.requests_per_second, default=None)

    return Batching(
        **PART,
        bound_ms=25.0,
        points=points,
        choices=[
            BatchingChoice(server=server, best=best(server, True), without=best(server, False),
                           reason="batches of 32 after at most 1 ms: 2,709 requests/s within 25 ms")
            for server in (TF, TORCH)
        ],
    )  # fmt: skip


def _memory() -> Memory:
    def row(server: str, idle: int, grows: bool) -> MemoryRow:
        kind: Literal["PSS"] = "PSS"
        samples = [
            MemorySample(requests=number * 5000, bytes=int(idle * (1.05 + grows * number / 100)))
            for number in range(21)
        ]
        return MemoryRow(server=server, kind=kind, requests=100_000, wrong=0, idle_bytes=idle,
                         peak_bytes=max(each.bytes for each in samples),
                         after_bytes=samples[-1].bytes, samples=samples,
                         growth_bytes_per_1000=52_000.0 if grows else 12.0, growing=grows)  # fmt: skip

    return Memory(
        **PART,
        rows=[row(TF, 412_000_000, False), row(TORCH, 498_000_000, True)],
        cpu=[
            CpuRow(server=server, protocol=protocol, requests=20_000,
                   cpu_seconds_per_1000=0.5 * median)
            for (server, protocol), (median, _) in ENDPOINTS.items()
        ],
    )  # fmt: skip
