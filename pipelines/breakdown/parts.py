"""The parts by name: measured on request, kept beside the version, taken again where nothing has changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from models.artifact import Manifest
from models.errors import ArtifactMissing
from pipelines.breakdown import batching, cold_start, in_process, memory, overhead
from pipelines.breakdown.digests import served_digest
from pipelines.breakdown.facts import KINDS, Breakdown, Part
from pipelines.conclude import keep, recall
from pipelines.serve import StartedServers
from pipelines.workspace import Workspace, log


@dataclass(frozen=True)
class Way:
    """How a part is measured.

    Attributes:
        measure: it, by a plan.
        digest: of what its figures depend on.
        full: the plan whose figures may be quoted.
        quick: the one that is good for a look.
    """

    measure: Callable[[Workspace, Manifest, Any], Part]
    digest: Callable[[Workspace, Manifest, Any], str]
    full: Any
    quick: Any


WAYS = {
    "in-process": Way(
        in_process.measure_in_process,
        in_process.in_process_digest,
        in_process.FULL,
        in_process.QUICK,
    ),
    "cold-start": Way(
        cold_start.measure_cold_start,
        served_digest,
        cold_start.FULL,
        cold_start.QUICK,
    ),
    "overhead": Way(overhead.measure_overhead, served_digest, overhead.FULL, overhead.QUICK),
    "batching": Way(batching.measure_batching, served_digest, batching.FULL, batching.QUICK),
    "memory": Way(memory.measure_memory, served_digest, memory.FULL, memory.QUICK),
}


def measure_part(
    space: Workspace,
    manifest: Manifest,
    name: str,
    quick: bool,
    again: bool = False,
    bound_ms: float = batching.BOUND_MS,
) -> Part:
    """Measure a part and keep it; one of the same digest is taken as it is.

    Args:
        space: the case.
        manifest: the version.
        name: of ``WAYS``.
        quick: a quick one is enough; a full one is taken too.
        again: measure anyway.
        bound_ms: what the 99th percentile is held to in the sweep of batching.
    """
    way = WAYS[name]
    full, fast = (_bounded(plan, bound_ms) for plan in (way.full, way.quick))
    plans = (full, fast) if quick else (full,)
    digests = {way.digest(space, manifest, plan) for plan in plans}
    stored = stored_part(space, manifest, name)
    if stored and stored.digest in digests and not again:
        log.info(f"Breakdown, {name}: nothing has changed since it was measured")
        return stored
    found = way.measure(space, manifest, fast if quick else full)
    keep(space, manifest.version, name, found)
    return found


def _bounded(plan: Any, bound_ms: float) -> Any:
    return replace(plan, bound_ms=bound_ms) if isinstance(plan, batching.SweepPlan) else plan


def keep_start(space: Workspace, manifest: Manifest, started: StartedServers) -> None:
    """The start that a run has made anyway, unless there is a full measurement of the same."""
    way = WAYS["cold-start"]
    stored = stored_part(space, manifest, "cold-start")
    if stored is None or stored.digest != way.digest(space, manifest, way.full):
        keep(
            space,
            manifest.version,
            "cold-start",
            cold_start.observed_cold_start(space, manifest, started),
        )


def stored_part(space: Workspace, manifest: Manifest, name: str) -> Part | None:
    """A part as it was kept; None where it was not measured.

    Raises:
        ArtifactCorrupt: its file cannot be read.
    """
    try:
        return recall(space, manifest.version, name, KINDS[name])
    except ArtifactMissing:
        return None


def stored_breakdown(space: Workspace, manifest: Manifest) -> Breakdown:
    """All parts that were measured for a version."""
    return breakdown_of({name: stored_part(space, manifest, name) for name in KINDS})


def breakdown_of(parts: Mapping[str, Part | None]) -> Breakdown:
    """Parts by name, together."""
    return Breakdown.model_validate({name.replace("-", "_"): part for name, part in parts.items()})
