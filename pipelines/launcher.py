"""Where servers run in this run: processes, or containers of which images; and why."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from models.errors import EngineUnavailable, ImageMissing
from pipelines.settings import Settings
from pipelines.workspace import log
from serving.container import ContainerServer
from serving.engine import connect
from serving.images import PresentImage, tfserving_image, torchserve_image
from serving.process import ProcessServer
from serving.server import Server, ServerSpec


@dataclass(frozen=True)
class Launch:
    """The choice of a launcher.

    Attributes:
        why: a sentence for people: where servers run, and for what reason.
        images: TF Serving's and TorchServe's; None runs processes.
    """

    why: str
    images: tuple[PresentImage, PresentImage] | None = None

    @property
    def in_containers(self) -> bool:
        return self.images is not None

    def server(self, spec: ServerSpec, records: Path) -> Server:
        """The spec, ready to be started in the chosen place."""
        if self.in_containers:
            return ContainerServer(spec, records)
        return ProcessServer(spec, records)


def choose_launcher(settings: Settings) -> Launch:
    """What ``TWINSERVE_LAUNCHER`` asks for.

    Raises:
        EngineUnavailable: containers are asked for, and no engine answers.
        ImageMissing: containers are asked for, and an image is not here.
    """
    if settings.launcher == "process":
        return Launch("Servers run as processes, as LAUNCHER=process says")
    try:
        images = _images(settings)
    except (EngineUnavailable, ImageMissing) as error:
        if settings.launcher == "docker":
            raise
        return Launch(f"Servers run as processes: {error.message}")
    for image in images:
        if not image.is_current:
            log.warning(
                f"{image.name} is older than the sources here; `make images` builds it anew"
            )
    found = " and ".join(f"{image.label} ({image.name})" for image in images)
    return Launch(f"Servers run in containers: {found}", images)


def _images(settings: Settings) -> tuple[PresentImage, PresentImage]:
    client = connect()
    try:
        return (
            tfserving_image(client, settings.tfserving_image),
            torchserve_image(client, settings.torchserve_image),
        )
    finally:
        client.close()
