"""Stages: what MLMD keeps of a version, so that it can be said where it came from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from models.artifact import Manifest
from models.errors import TwinServeError
from models.formats import Format
from models.framework import FRAMEWORKS, FrameworkName
from pipelines.facts import Blessings
from pipelines.tfx.calling import call_tfx
from pipelines.workspace import Workspace, log

DEPLOYED = {"tensorflow": Format.SAVED_MODEL, "pytorch": Format.MAR}
"""By framework: the format that its server reads."""


def record_infra(space: Workspace, servers: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    """Keep in MLMD what starting a candidate in both servers has shown.

    Args:
        space: the case.
        servers: facts by server, as verb ``infra`` takes them.

    Returns:
        the id of each server's InfraBlessing, which says yes or no.
    """
    found = call_tfx(space, "infra", {"servers": servers})["servers"]
    return {name: each["blessing_id"] for name, each in found.items()}


@contextmanager
def recorded_push(space: Workspace, manifest: Manifest, blessings: Blessings) -> Iterator[None]:
    """Keep in MLMD which spans, models and blessings a version came from, before it is put in service.

    What is recorded is taken back if the block fails: a version has a lineage or was not pushed.

    Raises:
        NotBlessed: a framework or a server has no blessing, or another model's; none means no.
    """
    recorded = record_push(space, manifest, blessings)
    try:
        yield
    except BaseException:
        if recorded["new"]:
            try:
                call_tfx(space, "take_back", {"artifact": recorded["artifact"]})
            except TwinServeError as error:  # such as the same full disk
                log.warning(f"The lineage still says that it was pushed: {error.message}")
        raise


def record_push(space: Workspace, manifest: Manifest, blessings: Blessings) -> dict[str, Any]:
    """What ``recorded_push`` keeps; see ``docs/tfx.md``.

    Raises:
        NotBlessed: as there.
    """
    validated = blessings.validated
    return call_tfx(
        space,
        "push",
        {
            "case": space.case.name,
            "version": manifest.version,
            "path": str(space.version_folder(manifest.version)),
            "data_digest": validated.digest,
            "spans": validated.spans,
            "spans_of_data": validated.numbers,
            "models": {name: _model(space, manifest, name) for name in FRAMEWORKS},
            "blessings": dict(blessings.evaluated.blessings),
            "infra_blessings": dict(blessings.infra.blessings),
        },
    )


def read_lineage(space: Workspace, version: int) -> dict[str, Any]:
    """Where a version came from: a tree, as ``docs/tfx.md`` has it.

    Raises:
        ArtifactMissing: that version was never pushed.
    """
    return call_tfx(space, "lineage", {"case": space.case.name, "version": version})


def _model(space: Workspace, manifest: Manifest, framework: FrameworkName) -> dict[str, str]:
    # The very file that its server reads, which is also what was infra-validated.
    artifact = manifest.artifact(DEPLOYED[framework])
    path = space.version_folder(manifest.version) / artifact.path
    return {
        "path": str(path),
        "sha256": artifact.sha256,
        "trained": manifest.training[framework],
    }
