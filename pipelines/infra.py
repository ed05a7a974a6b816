"""Stage: infra validation, from servers that were started as production starts them and were asked real rows.

``check`` has compared every answer of both servers with the model in memory. That result becomes an InfraBlessing
for each server, in TFX's lineage; no server is started twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from models.artifact import Manifest
from pipelines.facts import Check, Findings, InfraFacts, Outcome
from pipelines.serve import StartedServers
from pipelines.tfx.infra_validator import own_infra_validator
from pipelines.tfx.lineage import DEPLOYED, record_infra
from pipelines.workspace import Workspace, log
from serving.endpoints import FRAMEWORK_OF
from serving.server import Server


def bless_infra(
    space: Workspace, manifest: Manifest, started: StartedServers, found: Sequence[Findings]
) -> InfraFacts:
    """Bless each server whose answers were those of the model in memory, or say which were not.

    Args:
        space: the case.
        manifest: the candidate that the servers were started with.
        started: both servers.
        found: what ``check_server`` has found of each, in their order.
    """
    facts = {
        server.spec.name: _facts(space, manifest, server, each)
        for server, each in zip(started.servers, found, strict=True)
    }
    ids = record_infra(space, facts)
    checks = [_check(server, facts[server.spec.name]) for server in started.servers]
    for check in checks:
        log.info(f"Infra validation: {check.subject}: {check.figure}")
    checks.append(own_infra_validator(space, manifest))
    return InfraFacts(
        blessings={name: ids[name] for name in facts if facts[name]["blessed"]},
        findings=Findings(checks=checks),
    )


def _facts(space: Workspace, manifest: Manifest, server: Server, found: Findings) -> dict[str, Any]:
    """What verb ``infra`` records of a server."""
    wrong = [check for check in found.checks if check.outcome is Outcome.FAIL]
    framework = FRAMEWORK_OF[server.spec.name]
    artifact = manifest.artifact(DEPLOYED[framework])
    return {
        "label": server.spec.label,
        "where": server.where,
        "framework": framework,
        "model": {
            "path": str(space.version_folder(manifest.version) / artifact.path),
            "sha256": artifact.sha256,
        },
        # Nothing compared is nothing blessed.
        "blessed": bool(found.parity) and not wrong and all(row.passed for row in found.parity),
        "rows": sum(row.rows for row in found.parity),
        "max_abs": max((row.max_abs for row in found.parity), default=0.0),
        "why": "; ".join(f"{check.subject}: {check.question}: {check.figure}" for check in wrong),
    }


def _check(server: Server, facts: dict[str, Any]) -> Check:
    figure = f"{facts['rows']:,} answers compared, largest difference {facts['max_abs']:.1e}"
    return Check(
        stage="infra",
        subject=server.spec.label,
        question="Infra-blessed: started as in production, answers as the model in memory",
        outcome=Outcome.PASS if facts["blessed"] else Outcome.FAIL,
        figure=figure if facts["blessed"] else f"not blessed: {figure}",
        detail=facts["why"],
    )
