"""A wrong answer under load voids the figures of its endpoint."""

from __future__ import annotations

from datetime import UTC, datetime

from pipelines.facts import LatencyFacts, Measurements, Outcome, ThroughputFacts
from pipelines.measure import judge_measurements


def latency(server: str, protocol: str, wrong: int = 0) -> LatencyFacts:
    return LatencyFacts(
        server=server,
        protocol=protocol,  # type: ignore[arg-type]
        requests=600,
        wrong=wrong,
        p50_ms=1,
        p90_ms=2,
        p99_ms=3,
    )


def throughput(server: str, protocol: str, wrong: int = 0) -> ThroughputFacts:
    return ThroughputFacts(
        server=server,
        protocol=protocol,  # type: ignore[arg-type]
        clients=4,
        requests=1400,
        seconds=1,
        wrong=wrong,
        requests_per_second=1400,
    )


def judged(*rows: LatencyFacts | ThroughputFacts):
    return judge_measurements(
        Measurements(
            measured=datetime.now(UTC),
            latency=[row for row in rows if isinstance(row, LatencyFacts)],
            throughput=[row for row in rows if isinstance(row, ThroughputFacts)],
        )
    )


def test_right_answers_pass_with_their_number():
    (check,) = judged(latency("TorchServe", "REST"), throughput("TorchServe", "REST"))
    assert check.outcome is Outcome.PASS
    assert (check.subject, check.figure) == ("TorchServe · REST", "0 wrong of 2,000")


def test_a_wrong_answer_fails_its_own_endpoint_and_no_other():
    checks = judged(
        latency("TorchServe", "REST"),
        latency("TorchServe", "gRPC"),
        latency("TF Serving", "REST", wrong=1),
        throughput("TorchServe", "REST"),
        throughput("TorchServe", "gRPC", wrong=3),
        throughput("TF Serving", "REST"),
    )
    assert {check.subject: (check.outcome, check.figure) for check in checks} == {
        "TorchServe · REST": (Outcome.PASS, "0 wrong of 2,000"),
        "TorchServe · gRPC": (Outcome.FAIL, "3 wrong of 2,000"),
        "TF Serving · REST": (Outcome.FAIL, "1 wrong of 2,000"),
    }


def test_nothing_measured_is_nothing_judged():
    assert judged() == []
