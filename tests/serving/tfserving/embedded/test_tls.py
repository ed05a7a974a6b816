"""gRPC encrypted with certificates that are made here; REST as it is."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import grpc
import httpx
import pytest

from serving.process import ProcessServer
from serving.server import ServerSpec
from serving.tfserving.messages import GetModelStatusRequest, ModelServiceStub
from serving.tfserving.repository import publish

pytestmark = [
    pytest.mark.servers,
    pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed"),
]

MODEL = "digits"


@dataclass(frozen=True)
class Pair:
    """A key and its certificate, as PEM text."""

    key: str
    certificate: str


def openssl(*arguments: str) -> None:
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def self_signed(folder: Path, name: str, *more: str) -> Pair:
    key, certificate = folder / f"{name}.key", folder / f"{name}.pem"
    openssl(
        *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}"),
        *("-keyout", str(key), "-out", str(certificate), *more),
    )
    return Pair(key.read_text(), certificate.read_text())


@pytest.fixture(scope="module")
def server_pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    folder = tmp_path_factory.mktemp("server")
    return self_signed(folder, "server", "-addext", "subjectAltName=IP:127.0.0.1")


@pytest.fixture(scope="module")
def client_pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return self_signed(tmp_path_factory.mktemp("client"), "client")


@pytest.fixture
def spec_with(
    saved_model: Path, tmp_path: Path, embedded_spec: Callable[..., ServerSpec]
) -> Callable[[str], ServerSpec]:
    """A server whose SSLConfig has this text."""

    def make(text: str) -> ServerSpec:
        file = tmp_path / "ssl.txt"
        file.write_text(text)
        publish(saved_model, tmp_path / "repository", 1)
        spec = embedded_spec(MODEL, tmp_path / "repository", tmp_path / "work")
        return replace(spec, command=(*spec.command, f"--ssl_config_file={file}"))

    return make


@pytest.fixture
def start(spec_with: Callable[[str], ServerSpec]) -> Iterator[Callable[[str], ProcessServer]]:
    running: list[ProcessServer] = []

    def begin(text: str) -> ProcessServer:
        running.append(ProcessServer(spec_with(text)))
        running[-1].start()
        running[-1].wait_ready(60)
        return running[-1]

    yield begin
    for server in running:
        server.stop()


def spell(text: str) -> str:
    """As a string in protobuf's text format."""
    lines = "\\n".join(text.splitlines())
    return f'"{lines}\\n"'


def config(pair: Pair, *more: str) -> str:
    parts = (f"server_key: {spell(pair.key)}", f"server_cert: {spell(pair.certificate)}", *more)
    return "\n".join(parts)


def versions(channel: grpc.Channel) -> int:
    request = GetModelStatusRequest()
    request.model_spec.name = MODEL
    with channel:
        answer = ModelServiceStub(channel).GetModelStatus(request, timeout=10)
    return len(answer.model_version_status)


def trusting(server: ProcessServer, pair: Pair, client: Pair | None = None) -> grpc.Channel:
    credentials = grpc.ssl_channel_credentials(
        pair.certificate.encode(),
        client.key.encode() if client else None,
        client.certificate.encode() if client else None,
    )
    return grpc.secure_channel(server.spec.address("grpc"), credentials)


def assert_unreachable(channel: grpc.Channel) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        versions(channel)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


def test_who_trusts_the_certificate_is_answered(
    start: Callable[[str], ProcessServer], server_pair: Pair, client_pair: Pair
) -> None:
    server = start(config(server_pair))
    assert versions(trusting(server, server_pair)) == 1
    assert_unreachable(trusting(server, client_pair))
    assert_unreachable(grpc.insecure_channel(server.spec.address("grpc")))


def test_rest_is_not_encrypted(start: Callable[[str], ProcessServer], server_pair: Pair) -> None:
    server = start(config(server_pair))
    with httpx.Client(trust_env=False) as http:
        assert http.get(f"{server.spec.url('rest')}/v1/models/{MODEL}").status_code == 200


def test_a_client_must_show_a_certificate(
    start: Callable[[str], ProcessServer], server_pair: Pair, client_pair: Pair
) -> None:
    more = (f"custom_ca: {spell(client_pair.certificate)}", "client_verify: true")
    server = start(config(server_pair, *more))
    assert versions(trusting(server, server_pair, client_pair)) == 1
    assert_unreachable(trusting(server, server_pair))
    assert_unreachable(trusting(server, server_pair, server_pair))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("server_keys: 'x'", "Invalid protobuf file: '"),
        ("server_key: 'no key' server_cert: 'none'", "Failed to BuildAndStart gRPC server"),
        ("client_verify: true", "client_verify needs custom_ca"),
    ],
)
def test_a_file_that_cannot_be_used_ends_the_server(
    spec_with: Callable[[str], ServerSpec], text: str, words: str
) -> None:
    spec = spec_with(text)
    done = subprocess.run(
        spec.command,
        env={**os.environ, **spec.environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 255
    assert words in done.stdout
