"""Making sure that the servers' images are here: found, pulled or built, and why that one."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from models.errors import ImageMissing
from serving.image_building import BuildOptions, build_image
from serving.image_recipe import Image, embedded_recipe, official_name, torchserve_recipe
from serving.images import PresentImage, Say, find_image, pull_image

if TYPE_CHECKING:
    from docker import DockerClient


class How(StrEnum):
    """Where an image came from, this time."""

    FOUND = "found"
    PULLED = "pulled"
    BUILT = "built"


@dataclass(frozen=True)
class Supplied:
    """An image that is here now.

    Attributes:
        image: what is there.
        how: where it came from.
        why: what people should know about the choice; may be empty.
    """

    image: PresentImage
    how: How
    why: str = ""


def supply_torchserve(
    client: DockerClient, chosen: str, options: BuildOptions, say: Say
) -> Supplied:
    """TorchServe's image.

    Args:
        client: the engine's.
        chosen: an image's name, instead of ours; it is pulled where it is missing.
        options: for the build.
        say: told of what is done.

    Raises:
        ImageMissing: it can be had in no way.
        EngineUnavailable: the engine has gone away.
    """
    if chosen:
        return _find_or_pull(client, chosen, say, "named by TWINSERVE_TORCHSERVE_IMAGE")
    return supply_built(client, torchserve_recipe(), options, say)


def supply_tfserving(
    client: DockerClient, chosen: str, options: BuildOptions, say: Say
) -> Supplied:
    """TF Serving's image: the official one where it can be had, else the embedded server's.

    Args: as :func:`supply_torchserve`'s.

    Raises:
        ImageMissing: none can be had.
        EngineUnavailable: the engine has gone away.
    """
    if chosen:
        return _find_or_pull(client, chosen, say, "named by TWINSERVE_TFSERVING_IMAGE")
    try:
        return _find_or_pull(client, official_name(), say, "TF Serving's own image")
    except ImageMissing as error:
        say(f"{error.message} The embedded server stands in")
        return supply_built(client, embedded_recipe(), options, say, error.message)


def supply_built(
    client: DockerClient, image: Image, options: BuildOptions, say: Say, why: str = ""
) -> Supplied:
    """An image of ours, built only where it is missing or older than what it is built from.

    Args: as :func:`supply_torchserve`'s, and ``why`` it is wanted, for people.

    Raises:
        ImageMissing: it could not be built.
        ServerMissing, SettingsError, StorageError: as :func:`build_image`.
        EngineUnavailable: the engine has gone away.
    """
    found = find_image(client, image.name, image)
    if found is not None and found.is_current:
        return Supplied(found, How.FOUND, why)
    return Supplied(build_image(client, image, options, say), How.BUILT, why)


def _find_or_pull(client: DockerClient, name: str, say: Say, why: str) -> Supplied:
    found = find_image(client, name)
    if found is not None:
        return Supplied(found, How.FOUND, why)
    say(f"pulling {name}")
    return Supplied(pull_image(client, name, say), How.PULLED, why)
