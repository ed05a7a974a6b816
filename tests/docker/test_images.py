"""What is in the images, what is not, and that they serve as their contract says."""

from __future__ import annotations

import json
import shutil
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from models.errors import ImageMissing
from models.parity import compare
from pipelines.reference import Reference
from serving.image_recipe import Image
from serving.images import LABEL, find_image, pull_image, tfserving_image, torchserve_image
from serving.tfserving import client as tfserving_client
from serving.torchserve import client as torchserve_client
from serving.torchserve.tokens import Tokens

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

    from tests.conftest import Trained
    from tests.docker.conftest import Containers

pytestmark = [pytest.mark.docker, pytest.mark.servers, pytest.mark.timeout(600)]

OWN_AUTHORITIES = Path("/usr/local/share/ca-certificates")
HEALTH_CHECK = ["python3", "-m", "serving.torchserve.healthcheck"]
KILLED, TERMINATED = 137, 143
BOTH = pytest.mark.parametrize("which", ["torchserve", "embedded"])


@pytest.fixture
def image(which: str, request: pytest.FixtureRequest) -> Image:
    found: Image = request.getfixturevalue(which)
    return found


# ---- what they are ----


@BOTH
def test_not_root_and_labelled(image: Image, engine: DockerClient, containers: Containers):
    inside = engine.images.get(image.name)
    assert inside.attrs["Config"]["User"] == "1000:1000"
    assert inside.labels[LABEL] == image.label
    found = find_image(engine, image.name, image)
    assert found is not None
    assert found.label == image.label
    # A name for the number, so that programs which look it up find one.
    assert containers.run(image, "id", "--user", "--name").output.strip() == "twinserve"
    # `env` shows that the search finds what it looks for.
    search = r"find / -xdev -type f \( -perm /6000 -o -path /usr/bin/env \) 2>/dev/null"
    found_files = containers.run(image, "sh", "-c", search, user="0").output
    assert found_files.split() == ["/usr/bin/env"]


@BOTH
def test_nothing_of_the_machine_that_built_them(
    image: Image, engine: DockerClient, containers: Containers
):
    """Neither certificates nor proxies nor packages' addresses: not in files, settings or history."""
    attributes = engine.images.get(image.name)
    written = json.dumps([attributes.attrs["Config"], attributes.history()])
    for word in ("CA_CERTIFICATES", "proxy", "PROXY", "apt-get"):
        assert word not in written
    lines = [
        line
        for file in OWN_AUTHORITIES.glob("*.crt")
        for line in file.read_text().splitlines()[3:4]
    ]
    # A line that is there shows that the search finds what it looks for.
    patterns = [word for line in ["twinserve:x:1000:1000", *lines] for word in ("-e", line)]
    search = ("grep", "-rlFs", *patterns, "/etc", "/usr/local/share", "/tmp", "/var", "/opt")
    assert containers.run(image, *search, user="0").output.split() == ["/etc/passwd"]
    places = ("/tmp", "/var/lib/apt/lists", "/var/cache/apt", "/var/log", "/etc/hostname")
    leftovers = containers.run(image, "find", *places, "-type", "f", user="0")
    assert leftovers.output.split() == ["/etc/hostname"]  # the engine's own, in every container


@BOTH
def test_the_packages_are_those_that_exported(image: Image, containers: Containers):
    pins = dict(pin.split("==") for pin in image.pins())
    asked = "import json, sys; from importlib.metadata import version as v; " + (
        "print(json.dumps({name: v(name) for name in sys.argv[1:]}))"
    )
    inside = json.loads(containers.run(image, "python3", "-c", asked, *pins).output)
    assert {name: version.partition("+")[0] for name, version in inside.items()} == pins
    if "torch" in pins:
        assert inside["torch"].endswith("+cpu")


def test_no_package_is_missing_from_torchserves(torchserve: Image, containers: Containers):
    modules = "serving.torchserve.start, serving.torchserve.healthcheck, serving.publish"
    used = f"import {modules}, torch, safetensors.numpy, ts.model_service_worker"
    ran = containers.run(torchserve, "python3", "-c", used, store=None)
    assert (ran.code, ran.output) == (0, "")


# ---- TorchServe ----


@pytest.fixture
def serve(torchserve: Image, home: Path, containers: Containers):
    def start(*arguments: str, store: Path = home / "model-store") -> Container:
        return containers.start(torchserve, arguments, store, (8080, 8081, 8082, 7070))

    return start


def is_healthy(container: Container) -> bool:
    return container.exec_run(HEALTH_CHECK).exit_code == 0


def key_of(container: Container, purpose: str) -> str:
    keys = container.exec_run(["cat", "/run/torchserve/key_file.json"]).output
    return str(json.loads(keys)[purpose]["key"])


def ask(containers: Containers, container: Container, method: str, path: str) -> tuple[int, Any]:
    """TorchServe's management API, with its key."""
    url = f"http://127.0.0.1:{containers.port(container, 8081)}{path}"
    bearer = {"Authorization": f"Bearer {key_of(container, 'management')}"}
    request = urllib.request.Request(url, method=method, headers=bearer)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_torchserve_serves_digits_and_ends_in_order(
    serve, containers: Containers, trained: Trained, tmp_path: Path
):
    container = serve()
    containers.wait_until(lambda: is_healthy(container), "a READY worker", container)
    management = f"http://127.0.0.1:{containers.port(container, 8081)}"
    tokens = Tokens(tmp_path, management, container=str(container.id))
    contract = trained.space.case.contract
    rest = torchserve_client.RestClient(
        f"http://127.0.0.1:{containers.port(container, 8080)}",
        management,
        "digits",
        contract,
        tokens,
    )
    grpc = torchserve_client.GrpcClient(
        f"127.0.0.1:{containers.port(container, 7070)}", management, "digits", contract, tokens
    )
    for client in (rest, grpc):
        agrees_with_memory(client, trained, "pytorch")
        client.close()
    metrics = f"http://127.0.0.1:{containers.port(container, 8082)}/metrics"
    with urllib.request.urlopen(metrics, timeout=10) as answer:  # no key
        assert b'ts_inference_requests_total{model_name="digits"' in answer.read()
    container.stop(timeout=30)
    container.reload()
    assert container.attrs["State"]["ExitCode"] == TERMINATED  # Java's own, not the engine's kill
    assert b"Torchserve stopped." in container.logs(tail=20)


def agrees_with_memory(client: Any, trained: Trained, framework: Any) -> None:
    reference = Reference.of(trained.space, framework, trained.manifest)
    rows = {name: values[:7] for name, values in reference.split.inputs.items()}
    expected = {name: values[:7] for name, values in reference.test.items()}
    contract, tolerance = trained.space.case.contract, trained.space.case.tolerances.float32
    assert compare(contract, expected, client.predict(rows), tolerance).passed
    turned = {name: np.flip(values, axis=1).copy() for name, values in rows.items()}
    assert not compare(contract, expected, client.predict(turned), tolerance).passed


def test_torchserves_arguments_are_passed_on(serve, home: Path):
    container = serve("--workers=2", "--model-api", "--no-such-option")
    ran = container.wait(timeout=60)
    assert ran["StatusCode"] == 1
    assert b"Unrecognized option: --no-such-option" in container.logs()


def test_the_model_api_is_off_unless_asked_for(
    serve, containers: Containers, home: Path, tmp_path: Path
):
    store = tmp_path / "store"
    shutil.copytree(home / "model-store", store)
    open_to_all(store)
    query = "/models?url=digits-2.mar&model_name=digits&initial_workers=1&synchronous=true"
    closed, opened = serve(store=store), serve("--model-api", "--workers=2", store=store)
    for each in (closed, opened):
        containers.wait_until(lambda each=each: is_healthy(each), "a READY worker", each)
    assert ask(containers, closed, "POST", query)[0] == 405
    assert ask(containers, opened, "POST", query)[0] == 404  # it looked for the archive
    assert len(ask(containers, opened, "GET", "/models/digits")[1][0]["workers"]) == 2
    assert (
        ask(containers, opened, "POST", "/models?url=file:///etc/passwd")[0] == 404
    )  # outside the store


def test_torchserve_takes_the_newest_archive(
    serve, containers: Containers, home: Path, tmp_path: Path
):
    for number in (2, 10):
        shutil.copy(home / "model-store" / "digits-1.mar", tmp_path / f"digits-{number}.mar")
    open_to_all(tmp_path)
    container = serve(store=tmp_path)
    containers.wait_until(
        lambda: b"serves digits-" in container.logs(), "the first line", container
    )
    assert b"serves digits-10.mar" in container.logs()


def test_unhealthy_without_a_worker(serve, containers: Containers, home: Path, tmp_path: Path):
    """An archive whose model cannot be loaded: TorchServe itself says Healthy all the same."""
    import zipfile

    broken = tmp_path / "digits-1.mar"
    with (
        zipfile.ZipFile(home / "model-store" / "digits-1.mar") as good,
        zipfile.ZipFile(broken, "w") as bad,
    ):
        for name in good.namelist():
            bad.writestr(name, b"no model" if name == "model.pt" else good.read(name))
    open_to_all(tmp_path)
    container = serve(store=tmp_path)
    containers.wait_until(
        lambda: b"no worker is READY" in container.exec_run(HEALTH_CHECK).output,
        "a worker that fails",
        container,
    )
    assert container.exec_run(HEALTH_CHECK).exit_code == 1
    ping = urllib.request.Request(
        f"http://127.0.0.1:{containers.port(container, 8080)}/ping",
        headers={"Authorization": f"Bearer {key_of(container, 'inference')}"},
    )
    with urllib.request.urlopen(ping, timeout=10) as answer:
        assert json.load(answer)["status"] == "Healthy"


def test_what_torchserve_lacks_is_said(torchserve: Image, containers: Containers, tmp_path: Path):
    open_to_all(tmp_path)
    unnamed = containers.end_of(containers.start(torchserve, store=tmp_path, environment={}))
    assert unnamed.code == 1
    assert "MODEL_NAME is not set" in unnamed.output
    empty = containers.end_of(containers.start(torchserve, store=tmp_path))
    assert empty.code == 1
    assert "holds no archive of 'digits'" in empty.output


# ---- the embedded TF Serving API ----


def test_the_embedded_server_serves_digits_and_ends_in_order(
    embedded: Image, home: Path, containers: Containers, trained: Trained
):
    container = containers.start(embedded, store=home / "models", ports=(8500, 8501))
    url = f"http://127.0.0.1:{containers.port(container, 8501)}"
    containers.wait_until(lambda: is_available(url), "an AVAILABLE version", container)
    contract = trained.space.case.contract
    rest = tfserving_client.RestClient(url, "digits", contract)
    address = f"127.0.0.1:{containers.port(container, 8500)}"
    grpc = tfserving_client.GrpcClient(address, "digits", contract)
    for client in (rest, grpc):
        agrees_with_memory(client, trained, "tensorflow")
        client.close()
    said = container.exec_run(["tensorflow_model_server", "--version"]).output.decode()
    assert said.startswith("TF Serving API (embedded)")
    assert dict(pin.split("==") for pin in embedded.pins())["tensorflow"] in said
    container.stop(timeout=30)
    container.reload()
    assert container.attrs["State"]["ExitCode"] == 0
    assert b"Stopping" in container.logs(tail=10)


def is_available(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/v1/models/digits", timeout=5) as answer:
            return b"AVAILABLE" in answer.read()
    except OSError:
        return False


def test_the_embedded_servers_arguments_are_passed_on(
    embedded: Image, home: Path, containers: Containers
):
    given = ["--rest_api_port=many"]
    ran = containers.end_of(containers.start(embedded, given, home / "models"))
    assert ran.code == 255
    assert "Couldn't interpret value many for flag rest_api_port" in ran.output
    # The last of two that are given twice is the one that counts, as in the binary.
    given = ["--model_name=renamed"]
    container = containers.start(embedded, given, home / "models", ports=(8501,))
    url = f"http://127.0.0.1:{containers.port(container, 8501)}/v1/models/renamed"
    containers.wait_until(lambda: b"REST at" in container.logs(), "its line", container)
    with urllib.request.urlopen(url, timeout=10) as answer:
        assert b"AVAILABLE" in answer.read()


# ---- which is taken ----


def test_an_image_that_is_missing_is_named(engine: DockerClient):
    for ask_for in (tfserving_image, torchserve_image):
        with pytest.raises(ImageMissing, match="twinserve/none:1") as caught:
            ask_for(engine, "twinserve/none:1")
        assert "docker pull twinserve/none:1" in caught.value.hint


def test_an_image_that_cannot_be_pulled(engine: DockerClient):
    with pytest.raises(ImageMissing, match=r"127\.0\.0\.1:9/none:1 cannot be pulled: .*refused"):
        pull_image(engine, "127.0.0.1:9/none:1", print)


def open_to_all(folder: Path) -> None:
    """The containers' user is another one, and pytest's folders are their owner's only."""
    for each in (folder, *folder.parents[:3]):
        each.chmod(each.stat().st_mode | 0o055)
    for each in folder.rglob("*"):
        each.chmod(each.stat().st_mode | 0o044)
