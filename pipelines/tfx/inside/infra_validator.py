"""Verb ``infra_validator``: TFX's own InfraValidator loads the SavedModel in TF Serving's official image."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from models.artifact import whole_folder

Report = Callable[[Mapping[str, Any]], None]
FORMAT = "Format-Serving"
"""Where TFX looks for a SavedModel below a model's folder."""
TRIES = 2


def infra_validator(request: dict[str, Any], report: Report) -> dict[str, Any]:
    """Load a SavedModel in a container.

    Request: ``state``, ``model`` (folder), ``sha256``, ``name``, ``image``, ``startup_seconds``.

    Returns:
        ``blessed``, ``blessing`` and ``blessing_id``.

    Raises:
        StorageError: the disk is full.
    """
    from tfx.components import InfraValidator
    from tfx.dsl.components.common.importer import Importer
    from tfx.proto import infra_validator_pb2 as spec
    from tfx.types import standard_artifacts

    from pipelines.tfx.inside.running import outputs_of, run_pipeline

    report({"message": f"InfraValidator loads the SavedModel in {request['image']}."})
    folder = Path(request["state"]) / "infra" / "models" / request["sha256"][:12]
    if not folder.exists():
        with whole_folder(folder) as partial:
            shutil.copytree(request["model"], partial / FORMAT)
    model = Importer(
        source_uri=str(folder), artifact_type=standard_artifacts.Model, reimport=False
    ).with_id("Candidate")
    name, _, tag = request["image"].rpartition(":")
    validator = InfraValidator(
        model=model.outputs["result"],
        serving_spec=spec.ServingSpec(
            tensorflow_serving=spec.TensorFlowServing(image_name=name, tags=[tag]),
            local_docker=spec.LocalDockerConfig(),
            model_name=request["name"],
        ),
        validation_spec=spec.ValidationSpec(
            max_loading_time_seconds=int(request["startup_seconds"]), num_tries=TRIES
        ),
    )
    run_pipeline([model, validator], request)
    (blessing,) = outputs_of(request, "InfraValidator")["blessing"]
    return {
        "blessed": Path(blessing.uri, "INFRA_BLESSED").exists(),
        "blessing": blessing.uri,
        "blessing_id": blessing.id,
    }
