"""How many inputs, of which targets, in which order, and what is too much."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

SHARES: Mapping[str, int] = {
    "rest": 30,
    "urls": 14,
    "rpc": 30,
    "settings": 6,
    "parsers": 10,
    "guided": 10,
}
"""Of 100 inputs, by target."""


@dataclass(frozen=True)
class Plan:
    """One run.

    Attributes:
        inputs: in total, over all targets.
        seed: the same seed gives the same inputs.
        targets: names of ``SHARES``.
        seconds: after so many no more chunk is begun; None for all inputs, however long it takes.
        chunk: inputs between two rounds of good requests.
        deadline_seconds: longest wait for one answer.
        growth_bytes: by how much the server may grow over the run, its first tenth left out.
        most_findings: after so many the run ends.
    """

    inputs: int = 100_000
    seed: int = 0
    targets: tuple[str, ...] = tuple(SHARES)
    seconds: float | None = None
    chunk: int = 200
    deadline_seconds: float = 20.0
    growth_bytes: int = 256 * 1024 * 1024
    most_findings: int = 30


@dataclass(frozen=True)
class Chunk:
    """Inputs of one target that are sent together.

    Attributes:
        target: a name of ``SHARES``.
        number: its place among the target's chunks, from 0.
        size: inputs.
    """

    target: str
    number: int
    size: int


def split(total: int, targets: Sequence[str]) -> dict[str, int]:
    """The total over the targets, by their shares; nothing is lost to rounding."""
    whole = sum(SHARES[name] for name in targets)
    ends, so_far = [0], 0
    for name in targets:
        so_far += SHARES[name]
        ends.append(total * so_far // whole)
    return {name: ends[at + 1] - ends[at] for at, name in enumerate(targets)}


def chunks_of(plan: Plan) -> list[Chunk]:
    """All chunks, in an order in which every target gets on at the same rate.

    So a run that is ended early has seen something of each.
    """
    placed = []
    for name, inputs in split(plan.inputs, plan.targets).items():
        count = math.ceil(inputs / plan.chunk)
        for number in range(count):
            size = min(plan.chunk, inputs - number * plan.chunk)
            placed.append((number / count, plan.targets.index(name), Chunk(name, number, size)))
    return [chunk for _, _, chunk in sorted(placed, key=lambda each: each[:2])]
