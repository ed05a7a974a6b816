"""Building: what is sent, what is rebuilt and when, and what is said when it fails. With a small image."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from models.errors import ImageMissing, SettingsError
from serving import image_building, image_recipe
from serving.image_building import BuildOptions, build_image
from serving.image_recipe import Image
from serving.image_supply import How, supply_built
from serving.images import SOURCES, find_image

if TYPE_CHECKING:
    from docker import DockerClient

pytestmark = pytest.mark.docker

DOCKERFILE = """\
FROM debian:bookworm-slim AS first
ARG CA_CERTIFICATES=""
COPY greeting/*.txt /greeting/
COPY build/images/{name}/site-packages /packages
RUN printf %s "$CA_CERTIFICATES" | base64 -d >/ca.pem && wc -c </ca.pem >/ca.bytes && cat /greeting/hello.txt
FROM scratch
COPY --from=first /greeting /packages /ca.bytes /
"""
PEM = "-----BEGIN CERTIFICATE-----\nc2VjcmV0\n-----END CERTIFICATE-----\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of one Dockerfile; its packages count as collected."""
    for module in (image_recipe, image_building):
        monkeypatch.setattr(module, "PROJECT", tmp_path)
    monkeypatch.setattr(image_building, "collect_packages", lambda image, machine, say: None)
    (tmp_path / "greeting").mkdir()
    (tmp_path / "greeting" / "hello.txt").write_text("hello")
    (tmp_path / "secret.txt").write_text("stays here")
    (tmp_path / "packages.in").write_text("# none\n")
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements" / "main.txt").write_text("")
    return tmp_path


@pytest.fixture
def image(project: Path, engine: DockerClient) -> Iterator[Image]:
    from docker.errors import ImageNotFound

    short = f"test-{uuid.uuid4().hex[:8]}"
    made = Image(f"twinserve/{short}:1", "Sample", "Dockerfile", "packages.in", ())
    (project / "Dockerfile").write_text(DOCKERFILE.format(name=short))
    (made.folder / "site-packages" / "thing").mkdir(parents=True)
    yield made
    try:
        engine.images.remove(made.name, force=True)
    except ImageNotFound:
        return


def test_built_once_and_again_only_after_a_change(
    engine: DockerClient, image: Image, project: Path
):
    said: list[str] = []
    first = supply_built(engine, image, BuildOptions(), said.append)
    assert first.how is How.BUILT
    assert first.image.is_current
    assert first.image.label == "Sample"
    assert any(line.startswith("Step 1/") for line in said)
    assert engine.images.get(image.name).labels[SOURCES] == image.digest()
    assert supply_built(engine, image, BuildOptions(), said.append).how is How.FOUND
    (project / "secret.txt").write_text("is not copied, so it does not matter")
    assert supply_built(engine, image, BuildOptions(), said.append).how is How.FOUND
    (project / "greeting" / "hello.txt").write_text("good day")
    stale = find_image(engine, image.name, image)
    assert stale is not None
    assert not stale.is_current
    assert supply_built(engine, image, BuildOptions(), said.append).how is How.BUILT


def test_certificates_reach_the_build_and_not_the_image(
    engine: DockerClient, image: Image, project: Path
):
    authority = project / "authority"
    authority.mkdir()
    (authority / "one.crt").write_text(PEM)
    build_image(engine, image, BuildOptions("host", authority), print)
    made = engine.images.get(image.name)
    layers = b"".join(made.save())
    assert f"{len(PEM)}\n".encode() in layers  # the build saw them
    assert b"c2VjcmV0" not in layers
    assert base64.b64encode(PEM.encode()) not in layers
    assert "CA_CERTIFICATES" not in str(made.history())


def test_a_step_that_fails_is_shown(engine: DockerClient, image: Image, project: Path):
    text = (project / "Dockerfile").read_text()
    (project / "Dockerfile").write_text(
        text.replace("cat /greeting", "echo at work; ls /no-greeting")
    )
    with pytest.raises(ImageMissing, match="could not be built") as caught:
        build_image(engine, image, BuildOptions(), print)
    assert "at work" in caught.value.hint
    assert "NETWORK=host" in caught.value.hint
    assert find_image(engine, image.name) is None


@pytest.mark.parametrize("contents", ["", "no certificate", PEM * 2000])
def test_certificates_that_cannot_be_used(tmp_path: Path, contents: str):
    (tmp_path / "own.crt").write_text(contents)
    with pytest.raises(SettingsError, match="can be handed to a build"):
        BuildOptions(certificates=tmp_path).arguments()
