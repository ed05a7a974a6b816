"""So many inputs of a strategy, the same ones for the same seed."""

from __future__ import annotations

import zlib

from hypothesis import HealthCheck, Phase, given, seed, settings

from benchmarks.fuzz.inputs.input import Input, Inputs

_PER_EXAMPLE = 3
"""About as many different inputs an example gives; where it is fewer, there is another round."""


def make_inputs(strategy: Inputs, count: int, *place: object) -> list[Input]:
    """That many inputs, none of them twice.

    Args:
        strategy: what they are like.
        count: how many.
        place: the run's seed, and whatever tells these inputs from the others of the run.
    """
    found: dict[Input, None] = {}
    for attempt in range(count):
        missing = count - len(found)
        if missing <= 0:
            break
        examples = max(missing // _PER_EXAMPLE, 5)
        found |= dict.fromkeys(_draw(strategy, examples, _number_of(*place, attempt)))
    return list(found)[:count]


def _draw(strategy: Inputs, examples: int, number: int) -> list[Input]:
    found: list[Input] = []

    @seed(number)
    @settings(
        max_examples=examples,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def take(inputs: list[Input]) -> None:
        found.extend(inputs)

    take()
    return found


def _number_of(*place: object) -> int:
    """Python's own ``hash`` is another one in each process."""
    return zlib.crc32(repr(place).encode())
