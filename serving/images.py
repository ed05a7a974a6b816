"""Which images the servers run in, and which of them are on this machine.

Two are built here (:mod:`serving.image_recipe`, :mod:`serving.image_building`); TF Serving's own
is pulled where it can be had, else the embedded server's stands in (:mod:`serving.image_supply`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from models.errors import ImageMissing
from serving.engine import engine_errors
from serving.image_recipe import (
    OFFICIAL,
    Image,
    embedded_recipe,
    official_name,
    torchserve_recipe,
)

if TYPE_CHECKING:
    from docker import DockerClient

LABEL, SOURCES = "io.twinserve.label", "io.twinserve.sources"
"""An image's labels: what it is, for people; the digest of what it was built from."""
PULL_SECONDS = 1800.0

Say = Callable[[str], None]
"""Takes one line of progress."""


@dataclass(frozen=True)
class PresentImage:
    """An image that is on this machine.

    Attributes:
        name: ``repository:tag``
        label: what exactly it is, for people; tables and reports print it as it stands.
        bytes: its size.
        is_current: whether it was built from the sources and packages that are here now; true of
            images that are not built here.
    """

    name: str
    label: str
    bytes: int
    is_current: bool = True


def find_image(client: DockerClient, name: str, recipe: Image | None = None) -> PresentImage | None:
    """What is on this machine under that name; None where nothing is.

    Args:
        client: the engine's.
        name: ``repository:tag``
        recipe: what it should have been built from.

    Raises:
        EngineUnavailable: the engine has gone away.
    """
    from docker.errors import ImageNotFound  # noqa: PLC0415  # only containers need it

    with engine_errors(f"{name} cannot be looked for"):
        try:
            found = client.images.get(name)
        except ImageNotFound:
            return None
    labels: dict[str, str] = found.labels
    is_current = recipe is None or labels.get(SOURCES) == recipe.digest()
    return PresentImage(name, labels.get(LABEL) or _label_of(name), _size_of(found), is_current)


def torchserve_image(client: DockerClient, chosen: str = "") -> PresentImage:
    """The image that TorchServe is to run in.

    Args:
        client: the engine's.
        chosen: an image's name, instead of ours.

    Raises:
        ImageMissing: it is not here.
        EngineUnavailable: the engine has gone away.
    """
    if chosen:
        return _chosen(client, chosen)
    recipe = torchserve_recipe()
    found = find_image(client, recipe.name, recipe)
    if found is None:
        raise _missing(recipe.name)
    return found


def tfserving_image(client: DockerClient, chosen: str = "") -> PresentImage:
    """The image that TF Serving is to run in: the official one if it is here, else the embedded one.

    Args:
        client: the engine's.
        chosen: an image's name, instead of both.

    Raises:
        ImageMissing: neither is here.
        EngineUnavailable: the engine has gone away.
    """
    if chosen:
        return _chosen(client, chosen)
    recipe = embedded_recipe()
    official = official_name()
    found = find_image(client, official) or find_image(client, recipe.name, recipe)
    if found is None:
        raise _missing(f"{official}, or {recipe.name} in its place,")
    return found


def pull_image(
    client: DockerClient, name: str, say: Say, timeout_seconds: float = PULL_SECONDS
) -> PresentImage:
    """Pull an image, layer by layer.

    Args:
        client: the engine's.
        name: ``repository:tag``
        say: told of each layer that is complete.
        timeout_seconds: for the whole.

    Raises:
        ImageMissing: the registry cannot be reached in time, or has no such image.
        EngineUnavailable: the engine has gone away.
    """
    failures: list[BaseException | str] = []
    # The engine says nothing while it tries to reach a registry, so the deadline is kept outside.
    puller = threading.Thread(target=_pull, args=(client, name, say, failures), daemon=True)
    puller.start()
    puller.join(timeout_seconds)
    if puller.is_alive():
        failures.append(f"no end after {timeout_seconds:.0f} s")
    found = None if failures else find_image(client, name)
    if found is None:
        reason = str(failures[0]).strip() if failures else "it is not there afterwards"
        raise ImageMissing(
            f"{name} cannot be pulled: {reason.rstrip('.')}.",
            "Reach its registry, or name another.",
        )
    return found


def _pull(client: DockerClient, name: str, say: Say, failures: list[BaseException | str]) -> None:
    try:
        with engine_errors(f"{name} cannot be pulled"):
            for event in client.api.pull(name, stream=True, decode=True):
                _tell(event, say)
                if "error" in event:
                    failures.append(str(event["error"]))
    except Exception as error:  # it belongs to the thread that waits
        failures.append(_cause(error))


def _tell(event: dict[str, Any], say: Say) -> None:
    if event.get("status") in ("Pull complete", "Already exists"):
        say(f"{event['id']}: {event['status'].lower()}")


def _cause(error: BaseException) -> str:
    """The engine's own words where it gave some."""
    return str(getattr(error.__cause__, "explanation", None) or error)


def _chosen(client: DockerClient, name: str) -> PresentImage:
    found = find_image(client, name)
    if found is None:
        raise ImageMissing(
            f"The image {name} is not on this machine.",
            f"`docker pull {name}`, or leave its setting empty for the one that `make images` makes.",
        )
    return found


def _missing(what: str) -> ImageMissing:
    return ImageMissing(f"The image {what} is not on this machine.", "Run `make images`.")


def _label_of(name: str) -> str:
    """``tensorflow/serving:2.21.0`` -> ``TF Serving 2.21.0``; other names stand for themselves."""
    repository, _, tag = name.partition(":")
    return f"TF Serving {tag}".strip() if repository == OFFICIAL else name


def _size_of(image: Any) -> int:
    return int(image.attrs.get("Size", 0))
