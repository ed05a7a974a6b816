"""What ``measure --only`` can be asked for; apart from the parts, which take their time to import."""

from __future__ import annotations

from enum import StrEnum


class MeasurePart(StrEnum):
    """What ``measure`` consists of, in its order."""

    LOAD = "load"
    IN_PROCESS = "in-process"
    COLD_START = "cold-start"
    OVERHEAD = "overhead"
    BATCHING = "batching"
    MEMORY = "memory"


QUICK = (MeasurePart.LOAD, MeasurePart.IN_PROCESS, MeasurePart.COLD_START)
"""What a quick run measures where it is not asked for more."""
