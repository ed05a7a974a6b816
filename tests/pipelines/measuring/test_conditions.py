"""What both sides were measured with, and the sentences where they were not alike."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from pipelines.measuring.conditions import conditions_of, differences
from tests.pipelines.measuring.windows import endpoint

BYTES = {"request_bytes": 1444, "answer_bytes": 360}


def spec(contained: bool = False, threads: int = 2) -> Any:
    computing = SimpleNamespace(workers=1, threads=threads)
    return SimpleNamespace(contained=contained, computing=computing)


def test_a_container_does_not_say_what_it_computes_with() -> None:
    process, container = (conditions_of(endpoint(), spec(each), BYTES) for each in (False, True))
    assert (process.workers, process.threads, process.request_bytes) == (1, 2, 1444)
    assert (container.workers, container.threads) == (None, None)


def test_each_difference_is_a_sentence_and_protocols_are_not_held_against_each_other() -> None:
    one = conditions_of(endpoint(), spec(), BYTES)
    other = conditions_of(endpoint("torchserve"), spec(threads=1), BYTES | {"request_bytes": 9})
    grpc = conditions_of(endpoint(protocol="gRPC"), spec(), BYTES | {"request_bytes": 5})
    unknown = conditions_of(endpoint("torchserve", "gRPC"), spec(contained=True), BYTES)
    assert differences([one, one, grpc]) == []
    assert differences([one, other, grpc]) == [
        "REST: bytes in a request differ: TF Serving 1,444, TorchServe 9",
        "REST: threads that a worker computes with differ: TF Serving 2, TorchServe 1",
    ]
    assert "gRPC: workers differ: TF Serving 1, TorchServe unknown" in differences([grpc, unknown])
