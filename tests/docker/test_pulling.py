"""Pulling, from a registry of one image that runs in this process: the real engine's, over loopback."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from models.errors import ImageMissing
from serving import image_supply
from serving.image_building import BuildOptions
from serving.image_supply import How, supply_tfserving
from serving.images import PresentImage, pull_image, tfserving_image

if TYPE_CHECKING:
    from docker import DockerClient

pytestmark = pytest.mark.docker

MEDIA = "application/vnd.docker."
MANIFEST = f"{MEDIA}distribution.manifest.v2+json"


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def blobs_of_an_image() -> tuple[bytes, dict[str, bytes]]:
    """A manifest, and its parts by digest: one layer with one file."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("hello"))
    layer = gzip.compress(plain.getvalue(), mtime=0)
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Cmd": ["/hello"]},
            "rootfs": {"type": "layers", "diff_ids": [digest_of(plain.getvalue())]},
        }
    ).encode()
    parts = {digest_of(each): each for each in (layer, config)}
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": part(f"{MEDIA}container.image.v1+json", config),
        "layers": [part(f"{MEDIA}image.rootfs.diff.tar.gzip", layer)],
    }
    return json.dumps(manifest).encode(), parts


def part(media: str, data: bytes) -> dict[str, object]:
    return {"mediaType": media, "size": len(data), "digest": digest_of(data)}


class Registry(ThreadingHTTPServer):
    """Serves the image under every name; says nothing at all while it may not answer."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.manifest, self.blobs = blobs_of_an_image()
        self.may_answer = threading.Event()
        self.may_answer.set()

    def name(self, tag: str) -> str:
        return f"127.0.0.1:{self.server_port}/tensorflow/serving:{tag}"


class Answer(BaseHTTPRequestHandler):
    server: Registry

    def do_GET(self) -> None:
        self.server.may_answer.wait(60)
        if "/manifests/" in self.path and not self.path.endswith("/none"):
            self._send(MANIFEST, self.server.manifest)
        elif "/blobs/" in self.path:
            blob = self.server.blobs[self.path.rpartition("/")[2]]
            self._send("application/octet-stream", blob)
        elif self.path == "/v2/":
            self._send("application/json", b"{}")
        else:
            self.send_error(404)

    def do_HEAD(self) -> None:
        self.do_GET()

    def _send(self, media: str, data: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", media)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Docker-Content-Digest", digest_of(data))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Not into the tests' output."""


@pytest.fixture
def registry(engine: DockerClient) -> Iterator[Registry]:
    server = Registry()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.may_answer.set()
    server.shutdown()
    thread.join()
    server.server_close()
    for image in engine.images.list():
        for name in image.tags:
            if name.startswith(f"127.0.0.1:{server.server_port}/"):
                engine.images.remove(name, force=True)


def test_pulled_once_then_found(engine: DockerClient, registry: Registry):
    said: list[str] = []
    name = registry.name("2.21.0")
    first = supply_tfserving(engine, name, BuildOptions(), said.append)
    assert first.how is How.PULLED
    assert any(line.endswith("pull complete") for line in said)
    again = supply_tfserving(engine, name, BuildOptions(), said.append)
    assert again.how is How.FOUND
    assert tfserving_image(engine, name) == again.image
    assert isinstance(again.image, PresentImage)


def test_a_tag_that_does_not_exist(engine: DockerClient, registry: Registry):
    with pytest.raises(ImageMissing, match="cannot be pulled"):
        pull_image(engine, registry.name("none"), print)


def test_a_registry_that_says_nothing(engine: DockerClient, registry: Registry):
    registry.may_answer.clear()
    with pytest.raises(ImageMissing, match="no end after 2 s"):
        pull_image(engine, registry.name("2.21.0"), print, timeout_seconds=2)


def test_the_embedded_server_stands_in_and_it_is_said(
    engine: DockerClient, registry: Registry, monkeypatch: pytest.MonkeyPatch
):
    official, said = registry.name("none"), list[str]()
    monkeypatch.setattr(image_supply, "official_name", lambda: official)
    monkeypatch.setattr(
        image_supply, "supply_built", lambda client, image, *_: (image.label, _[-1])
    )
    label, why = supply_tfserving(engine, "", BuildOptions(), said.append)
    assert label == "TF Serving API (embedded)"
    assert why.startswith(f"{official} cannot be pulled")
    assert any("The embedded server stands in" in line for line in said)
    with pytest.raises(ImageMissing):  # named by a person: nothing else will do
        supply_tfserving(engine, official, BuildOptions(), said.append)
