"""A Docker engine, our images, and a serving home with one trained version for the containers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from models.errors import EngineUnavailable
from serving.engine import connect
from serving.image_recipe import Image, embedded_recipe, torchserve_recipe
from serving.images import find_image

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

    from tests.conftest import Trained

WAIT_SECONDS = 60
LABEL = "io.twinserve.test"

TORCHSERVE_SCRATCH = {"/run/torchserve": "rw,exec,mode=0700,uid=1000,gid=1000"}
TFSERVING_SCRATCH = {"/tmp": "rw,mode=1777"}


@pytest.fixture(scope="session", autouse=True)
def engine() -> Iterator[DockerClient]:
    """A client of the engine."""
    try:
        client = connect(120)
    except EngineUnavailable as error:
        pytest.skip(f"no Docker engine: {error.message}")
    yield client
    client.close()


@pytest.fixture(scope="session")
def torchserve(engine: DockerClient) -> Image:
    """TorchServe's image; it is here."""
    return _present(engine, torchserve_recipe())


@pytest.fixture(scope="session")
def embedded(engine: DockerClient) -> Image:
    """The embedded TF Serving API's image; it is here."""
    return _present(engine, embedded_recipe())


def _present(engine: DockerClient, image: Image) -> Image:
    if find_image(engine, image.name) is None:
        pytest.skip(f"the image {image.name} is missing: make images")
    return image


@pytest.fixture(scope="session")
def home(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A serving home with version 1 of digits; readable by the containers' user."""
    from serving.publish import publish_version

    folder = tmp_path_factory.mktemp("home")
    for each in (folder, *folder.parents[:3]):
        each.chmod(each.stat().st_mode | 0o055)  # pytest's folders are their owner's only
    publish_version(trained.version, trained.manifest, "digits", folder)
    return folder


@dataclass(frozen=True)
class Ran:
    """How a container ended.

    Attributes:
        code: exit code.
        output: standard output and error together.
    """

    code: int
    output: str


class Containers:
    """Starts containers locked in as ours are, and removes them by their ids."""

    def __init__(self, engine: DockerClient) -> None:
        self._engine = engine
        self._started: list[Container] = []

    def start(
        self,
        image: Image,
        arguments: Sequence[str] = (),
        store: Path | None = None,
        ports: Sequence[int] = (),
        entrypoint: Sequence[str] | None = None,
        environment: dict[str, str] | None = None,
        user: str | None = None,
    ) -> Container:
        scratch = TORCHSERVE_SCRATCH if "torchserve" in image.name else TFSERVING_SCRATCH
        container = self._engine.containers.run(
            image.name,
            list(arguments),
            entrypoint=list(entrypoint) if entrypoint else None,
            detach=True,
            init=True,
            read_only=True,
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
            tmpfs=scratch,
            volumes={str(store): {"bind": "/models", "mode": "ro"}} if store else {},
            environment={"MODEL_NAME": "digits"} if environment is None else environment,
            ports={f"{port}/tcp": ("127.0.0.1", None) for port in ports},
            labels={LABEL: "1"},
            user=user,
        )
        self._started.append(container)
        return container

    def run(self, image: Image, *command: str, **more: object) -> Ran:
        """Run a command instead of the server, and wait for its end."""
        container = self.start(image, command[1:], entrypoint=command[:1], **more)  # type: ignore[arg-type]
        return self.end_of(container)

    def end_of(self, container: Container) -> Ran:
        code = container.wait(timeout=WAIT_SECONDS)["StatusCode"]
        return Ran(code, container.logs().decode())

    def port(self, container: Container, inside: int) -> int:
        """The host's port for a container's."""
        container.reload()
        return int(container.ports[f"{inside}/tcp"][0]["HostPort"])

    def wait_until(self, done: Callable[[], object], what: str, container: Container) -> None:
        """Wait for it; on failure show what the container said."""
        deadline = time.monotonic() + WAIT_SECONDS
        while not done():
            container.reload()
            if container.status == "exited" or time.monotonic() > deadline:
                said = container.logs(tail=40).decode()
                pytest.fail(f"{what} did not come ({container.status}):\n{said}")
            time.sleep(0.2)

    def remove_all(self) -> None:
        from docker.errors import NotFound

        for container in self._started:
            with suppress(NotFound):
                container.remove(force=True, v=True)


@pytest.fixture
def containers(engine: DockerClient) -> Iterator[Containers]:
    ours = Containers(engine)
    yield ours
    ours.remove_all()
