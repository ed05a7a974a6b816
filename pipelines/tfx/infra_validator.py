"""TFX's own InfraValidator, where it can run: in the image of TF Serving's API that production uses."""

from __future__ import annotations

from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.artifact import Manifest
from models.errors import EngineUnavailable, ImageMissing, TwinServeError
from models.formats import Format
from pipelines.facts import Check, Outcome
from pipelines.serve import owned
from pipelines.tfx.calling import call_tfx
from pipelines.workspace import Workspace
from serving.container import container_settings
from serving.engine import connect, remove_container
from serving.images import PresentImage, tfserving_image
from serving.server import ServerSpec
from serving.tfserving.contained import tfserving_container_spec

if TYPE_CHECKING:
    from docker import DockerClient

NOBODY = "TF Serving's API in a container"
AS_IN_PRODUCTION = (
    "name", "command", "labels", "tmpfs", "user", "read_only", "cap_drop", "security_opt", "pids_limit",
    "mem_limit", "memswap_limit", "nano_cpus", "init",
)  # fmt: skip
"""What TFX's container takes over from ours. Image, environment, mounts and ports are TFX's own affair."""


def own_infra_validator(space: Workspace, manifest: Manifest) -> Check:
    """Run it with the image that production uses, or say why it cannot run.

    That it cannot is no failure, for both servers were asked already.

    Args:
        space: the case.
        manifest: the candidate.

    Raises:
        ArtifactMissing, ArtifactCorrupt: its SavedModel is not what the manifest says.
        EnvironmentMissing, WorkerError: TFX cannot be installed, or its process crashed. No container is left.
    """
    if space.settings.launcher == "process":
        return _not_run("servers run as processes, as LAUNCHER=process says")
    try:
        client = connect()
    except EngineUnavailable:
        return _not_run("no Docker engine answers")
    with closing(client):
        try:
            image = tfserving_image(client, space.settings.tfserving_image)
        except (EngineUnavailable, ImageMissing) as error:
            return _not_run(error.message.rstrip("."))
        return _check(image, _validate(space, manifest, image, client))


def _validate(
    space: Workspace, manifest: Manifest, image: PresentImage, client: DockerClient
) -> dict[str, Any]:
    """What the verb says."""
    artifact = manifest.artifact(Format.SAVED_MODEL)
    model = artifact.check(space.version_folder(manifest.version))
    container = _as_in_production(space, model, image)
    try:
        return call_tfx(
            space,
            "infra_validator",
            {
                "model": str(model),
                "sha256": artifact.sha256,
                "name": space.case.name,
                "image": image.name,
                "label": image.label,
                "container": container,
                "startup_seconds": round(space.settings.startup_timeout_seconds),
            },
        )
    finally:
        # TFX has stopped it in order; after a Ctrl-C or a crash of its process nobody has.
        with suppress(TwinServeError):
            remove_container(client, container["name"], ServerSpec.stop_seconds)


def _as_in_production(space: Workspace, model: Path, image: PresentImage) -> dict[str, Any]:
    """Arguments of the SDK's ``containers.run``: locked in as our own containers are, and labelled, so that the
    next run and ``make stop`` find what a killed run has left."""
    settings = space.settings
    spec = owned(
        tfserving_container_spec(
            space.case.name,
            model,
            settings.state,
            image.name,
            image.label,
            memory_bytes=settings.container_memory_mb * 2**20,
            cpus=settings.container_cpus,
        )
    )
    found = container_settings(spec, settings.records)
    # TFX would have it removed as soon as it ends, and with it the log that says why.
    return {name: found[name] for name in AS_IN_PRODUCTION} | {"auto_remove": False}


def _check(image: PresentImage, found: dict[str, Any]) -> Check:
    return Check(
        stage="infra",
        subject=image.label,
        question="TFX's own InfraValidator loads the SavedModel in its container",
        outcome=Outcome.PASS if found["blessed"] else Outcome.FAIL,
        figure=f"{'blessed' if found['blessed'] else 'not blessed'}, in {image.name}",
        detail=found["why"],
    )


def _not_run(why: str) -> Check:
    return Check(
        stage="infra",
        subject=NOBODY,
        question="TFX's own InfraValidator loads the SavedModel in its container",
        outcome=Outcome.WARNING,
        figure=f"not run: {why}",
    )
