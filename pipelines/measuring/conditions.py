"""What both sides were measured with, and where they were not alike."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from pipelines.facts import ConditionsFacts
from serving.endpoints import Endpoint
from serving.server import ServerSpec

ALIKE = {
    "request_bytes": "bytes in a request",
    "workers": "workers",
    "threads": "threads that a worker computes with",
}


def conditions_of(
    endpoint: Endpoint, spec: ServerSpec, accuracy: Mapping[str, Any]
) -> ConditionsFacts:
    """Of one endpoint.

    Args:
        endpoint: that was measured.
        spec: what ran; a container's threads are not known here.
        accuracy: what the load generator told of its first pass.
    """
    computing = None if spec.contained else spec.computing
    return ConditionsFacts(
        server=endpoint.label,
        protocol=endpoint.protocol,
        request_bytes=accuracy["request_bytes"],
        answer_bytes=accuracy["answer_bytes"],
        workers=computing.workers if computing else None,
        threads=computing.threads if computing else None,
    )


def differences(conditions: Sequence[ConditionsFacts]) -> list[str]:
    """Sentences, one for each thing in which the servers of a protocol are not alike."""
    by_protocol: dict[str, list[ConditionsFacts]] = defaultdict(list)
    for each in conditions:
        by_protocol[each.protocol].append(each)
    return [
        f"{protocol}: {words} differ: "
        + ", ".join(f"{each.server} {_written(getattr(each, name))}" for each in alike)
        for protocol, alike in by_protocol.items()
        for name, words in ALIKE.items()
        if len({getattr(each, name) for each in alike}) > 1
    ]


def _written(value: int | None) -> str:
    return "unknown" if value is None else f"{value:,}"
