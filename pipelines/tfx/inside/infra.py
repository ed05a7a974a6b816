"""Verb ``infra``: whether both servers answered as the models in memory, as InfraBlessings in MLMD.

TFX's InfraValidator starts TF Serving and asks whether it answers at all. Ours were started by the flow, as
production starts them, and their answers were compared value by value; here that result becomes the same artifact,
one for each server. Where TFX's own can run, verb ``infra_validator`` runs it as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from models.artifact import digest_of_parts, write_text
from pipelines.tfx.inside.lineage import MODEL
from pipelines.tfx.inside.store import Store

Report = Callable[[Mapping[str, Any]], None]
BLESSING = "InfraBlessing"
FILES = {True: "INFRA_BLESSED", False: "INFRA_NOT_BLESSED"}


def infra(request: dict[str, Any], report: Report) -> dict[str, Any]:
    """Record what was found of every server; see docs/tfx.md for request and result.

    Raises:
        ArtifactMissing: no TFX stage has run in this state folder.
        StorageError: the disk is full.
    """
    del report
    store = Store.open(Path(request["state"]))
    return {
        "servers": {
            name: _record(store, request, name, facts) for name, facts in request["servers"].items()
        }
    }


def _record(
    store: Store, request: Mapping[str, Any], server: str, facts: Mapping[str, Any]
) -> dict[str, Any]:
    blessed = bool(facts["blessed"])
    found = {
        "server": server,
        "label": facts["label"],
        "where": facts["where"],
        "framework": facts["framework"],
        "sha256": facts["model"]["sha256"],
        "rows": int(facts["rows"]),
        "max_abs": float(facts["max_abs"]),
    }
    key = digest_of_parts(sorted(found.items()), blessed)[:12]
    folder = Path(request["state"]) / "infra" / server / key
    write_text(folder / FILES[blessed], str(facts.get("why", "")))
    model = store.artifact(
        MODEL,
        facts["model"]["path"],
        {"framework": facts["framework"], "sha256": facts["model"]["sha256"]},
    )
    blessing = store.artifact(BLESSING, str(folder), {**found, "blessed": int(blessed)})
    if store.maker(blessing) is None:
        store.execution("InfraValidation", [model], [blessing], {"server": server})
    return {"blessed": blessed, "blessing_id": blessing, "blessing": str(folder)}
