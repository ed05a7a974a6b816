"""TFX's own InfraValidator, where it can run: a Docker engine, and TF Serving's official image on this machine."""

from __future__ import annotations

from models.artifact import Manifest
from models.errors import EngineUnavailable
from models.formats import Format
from pipelines.facts import Check, Outcome
from pipelines.tfx.stages import call_tfx
from pipelines.workspace import Workspace
from serving.engine import connect
from serving.image_recipe import official_name
from serving.images import find_image


def own_infra_validator(space: Workspace, manifest: Manifest) -> Check:
    """Run it, or say why it cannot; that it cannot is no failure, for both servers were asked already."""
    image = official_name()
    if why := _why_not(space, image):
        return _check(Outcome.WARNING, f"not run: {why}")
    artifact = manifest.artifact(Format.SAVED_MODEL)
    found = call_tfx(
        space,
        "infra_validator",
        {
            "model": str(artifact.check(space.version_folder(manifest.version))),
            "sha256": artifact.sha256,
            "name": space.case.name,
            "image": image,
            "startup_seconds": round(space.settings.startup_timeout_seconds),
        },
    )
    return _check(
        Outcome.PASS if found["blessed"] else Outcome.FAIL,
        f"{'blessed' if found['blessed'] else 'not blessed'} by {image}",
    )


def _why_not(space: Workspace, image: str) -> str:
    if space.settings.launcher == "process":
        return "servers run as processes, as LAUNCHER=process says"
    try:
        client = connect()
    except EngineUnavailable:
        return "no Docker engine answers"
    try:
        return "" if find_image(client, image) else f"{image} is not on this machine"
    except EngineUnavailable as error:
        return error.message.rstrip(".")
    finally:
        client.close()


def _check(outcome: Outcome, figure: str) -> Check:
    return Check(
        stage="infra",
        subject="TF Serving's official image",
        question="TFX's own InfraValidator loads the SavedModel",
        outcome=outcome,
        figure=figure,
    )
