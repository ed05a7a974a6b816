"""docker-compose.yml on a real engine: both servers answer rightly, on loopback only, and nothing is left."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.metadata import version as installed
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from models.artifact import Manifest
from models.errors import TwinServeError
from models.parity import compare
from pipelines.alone import export_alone, train_alone
from pipelines.compose import PORTS
from pipelines.reference import Reference
from pipelines.workspace import Workspace
from serving.endpoints import endpoints_of
from serving.engine import connect
from serving.images import embedded_recipe, find_image, official_name, torchserve_recipe
from serving.process import free_ports

pytestmark = pytest.mark.docker

PROJECT = Path(__file__).resolve().parents[2]
SERVERS = ("tfserving", "torchserve")
ONE_SHOT = ("volumes", "publish")
ROOT = ("volumes",)
"""It gives the volumes to the others' user, with one capability and without a network."""
NO_IMAGE = "twinserve/there-is-no-such-image:1"
OTHER_EPOCHS = 1
ROWS = slice(0, 32)
TOKENS = "/run/torchserve/key_file.json"
DEADLINE_SECONDS = 240
SCRAPED_SECONDS = 60


@pytest.fixture(scope="module")
def docker_config() -> str:
    """The folder in which ``docker`` finds Compose v2."""
    script = PROJECT / "tests/docker/compose.sh"
    done = subprocess.run([script], capture_output=True, text=True, check=False, timeout=300)
    if done.returncode:
        pytest.skip(f"Docker Compose v2 cannot be had: {done.stderr.strip()}")
    return done.stdout.strip()


@pytest.fixture(scope="module")
def images() -> tuple[str, str]:
    """TF Serving's stand-in and TorchServe, by name."""
    try:
        client = connect()
    except TwinServeError as error:
        pytest.skip(error.message)
    names = embedded_recipe().name, torchserve_recipe().name
    missing = [name for name in names if find_image(client, name) is None]
    client.close()
    if missing:
        pytest.skip(f"not built: {', '.join(missing)} (make images)")
    return names


@dataclass(frozen=True)
class Served:
    """What the tests serve.

    Attributes:
        space: a case in a folder that any user may read, as a container's user must.
        manifests: of two versions that answer differently.
    """

    space: Workspace
    manifests: dict[int, Manifest]

    @property
    def artifacts(self) -> Path:
        return self.space.settings.artifacts


@pytest.fixture(scope="module")
def served(trained, tmp_path_factory) -> Served:
    artifacts = tmp_path_factory.mktemp("compose") / "artifacts"
    shutil.copytree(trained.space.settings.artifacts, artifacts)
    artifacts.chmod(0o755)
    settings = trained.space.settings.model_copy(update={"artifacts": artifacts})
    other = Workspace.open("digits", settings, {"epochs": OTHER_EPOCHS})
    train_alone(other)
    second = export_alone(other)
    assert second.version == trained.manifest.version + 1
    return Served(replace(trained.space, settings=settings), {1: trained.manifest, 2: second})


@dataclass(frozen=True)
class Place:
    """A project of Compose's, with its own name, ports and state."""

    name: str
    environment: dict[str, str]

    def compose(self, *arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
        return self._run("docker", "compose", "--profile", "*", *arguments, **changes)

    def make(self, *arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
        return self._run("make", *arguments, **changes)

    def config(self) -> dict[str, Any]:
        done = self.compose("config", "--format", "json")
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def containers(self) -> dict[str, str]:
        """Id by service, those that have ended too."""
        said = self.compose("ps", "--all", "--format", "{{.Service}} {{.ID}}").stdout
        return dict(line.split() for line in said.splitlines())

    def inspect(self, service: str) -> dict[str, Any]:
        done = self._run("docker", "inspect", self.containers()[service])
        found: dict[str, Any] = json.loads(done.stdout)[0]
        return found

    def left(self) -> str:
        """Every container, network and volume that the project still has."""
        label = f"label=com.docker.compose.project={self.name}"
        kinds = (("ps", "--all"), ("network", "ls"), ("volume", "ls"))
        return "".join(
            self._run("docker", *kind, "--quiet", "--filter", label).stdout for kind in kinds
        )

    def _run(self, *command: str, **changes: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=PROJECT,
            env={**self.environment, **changes},
            capture_output=True,
            text=True,
            check=False,
            timeout=DEADLINE_SECONDS,
        )


@pytest.fixture(scope="module")
def place(docker_config, images, served, state) -> Iterator[Place]:
    name = f"twinserve-test-{uuid.uuid4().hex[:8]}"
    numbers = ("TFSERVING_REST", "TFSERVING_GRPC", "TORCHSERVE_REST", "TORCHSERVE_MANAGEMENT")
    numbers += ("TORCHSERVE_GRPC", "PREFECT", "PROMETHEUS", "GRAFANA")
    ports = zip(numbers, map(str, free_ports(len(numbers))), strict=True)
    inherited = {
        key: value for key, value in os.environ.items() if not key.startswith("TWINSERVE_")
    }
    environment = {
        **inherited,
        **{f"TWINSERVE_{number}_PORT": port for number, port in ports},
        "DOCKER_CONFIG": docker_config,
        "COMPOSE_PROJECT_NAME": name,
        "TWINSERVE_ARTIFACTS": str(served.artifacts),
        "TWINSERVE_STATE": str(state),
        "TWINSERVE_TFSERVING_IMAGE": images[0],
        "TWINSERVE_TORCHSERVE_IMAGE": images[1],
        "TWINSERVE_PREFECT_IMAGE": NO_IMAGE,  # it cannot be built here, and is large to pull
    }
    made = Place(name, environment)
    try:
        yield made
    finally:
        made.compose("down", "--volumes", "--remove-orphans", "--timeout", "5")


@pytest.fixture(scope="module")
def latest(place) -> Place:
    """``docker compose up`` of both servers, nothing named."""
    done = place.compose("up", "--detach", "--wait", "--wait-timeout", "180", *SERVERS)
    assert done.returncode == 0, done.stderr + place.compose("logs", "--tail", "30").stdout
    return place


# ---- the file ----


def test_the_file_is_valid_without_any_setting(docker_config):
    bare = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "DOCKER_CONFIG": docker_config}
    for profile in ((), ("--profile", "monitoring")):
        done = subprocess.run(
            ["docker", "compose", *profile, "config", "--quiet"],
            cwd=PROJECT,
            env=bare,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")


def test_the_pinned_tags_are_those_of_the_installed_packages(place):
    unset = {key: "" for key in place.environment if key.endswith("_IMAGE")}
    done = place.compose("config", "--format", "json", **unset)
    services = json.loads(done.stdout)["services"]
    images = {name: service["image"] for name, service in services.items()}
    assert images["tfserving"] == official_name()
    assert images["torchserve"] == images["publish"] == torchserve_recipe().name
    assert images["prefect"].startswith(f"prefecthq/prefect:{installed('prefect')}-python")
    for image in images.values():
        assert ":" in image
        assert not image.endswith("latest")


def test_every_service_is_locked_in(place):
    for name, service in place.config()["services"].items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert (service["user"].partition(":")[0] == "0") == (name in ROOT), name
        assert service["logging"]["options"].keys() == {"max-size", "max-file"}, name
        assert not service.get("privileged"), name
        assert "docker.sock" not in json.dumps(service), name
        if name in ONE_SHOT:
            assert service["network_mode"] == "none", name
            continue
        assert service["restart"] == "unless-stopped", name
        assert service["stop_grace_period"], name
        assert int(service["mem_limit"]) > 0, name
        assert service["healthcheck"]["start_period"], name
        assert service["ports"], name
        assert {port["host_ip"] for port in service["ports"]} == {"127.0.0.1"}, name


def test_limits_can_be_set(place):
    done = place.compose(
        "config",
        "--format",
        "json",
        TWINSERVE_CONTAINER_MEMORY_MB="700",
        TWINSERVE_CONTAINER_CPUS="1.5",
    )
    for name in SERVERS:
        service = json.loads(done.stdout)["services"][name]
        assert int(service["mem_limit"]) == int(service["memswap_limit"]) == 700 * 2**20
        assert service["cpus"] == 1.5


# ---- both servers ----


def test_both_serve_the_latest_version_rightly(latest, served):
    assert wrong_answers(latest, served, 2) == []
    assert wrong_answers(latest, served, 1) != []  # the two can be told apart


def test_torchserves_tokens_can_be_had_and_are_needed(latest, served):
    said = latest.compose("exec", "--no-TTY", "torchserve", "cat", TOKENS)
    token = json.loads(said.stdout)["inference"]["key"]
    url = f"http://127.0.0.1:{latest.environment['TWINSERVE_TORCHSERVE_REST_PORT']}"
    url += "/predictions/digits"
    image = [[[0.0]] * 8] * 8
    body = {"instances": [{"image": image}]}
    with httpx.Client(trust_env=False) as client:
        assert client.post(url, json=body).status_code == 400
        answer = client.post(url, json=body, headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200
    assert len(answer.json()["predictions"]) == 1


def test_what_runs_is_locked_in_and_published_on_loopback_only(latest):
    for service in SERVERS:
        seen = latest.inspect(service)
        host = seen["HostConfig"]
        assert seen["Config"]["User"] == "1000:1000"
        assert host["ReadonlyRootfs"]
        assert host["CapDrop"] == ["ALL"]
        assert host["SecurityOpt"] == ["no-new-privileges:true"]
        assert all(not mount["RW"] for mount in seen["Mounts"])
        published = [each for each in seen["NetworkSettings"]["Ports"].values() if each]
        assert len(published) == len(PORTS[service])
        assert {each["HostIp"] for pair in published for each in pair} == {"127.0.0.1"}
        assert seen["State"]["Health"]["Status"] == "healthy"


def test_a_server_without_its_model_is_not_healthy(latest):
    """The checks that --wait relies on say no where the model is not there."""
    for service in SERVERS:
        test = latest.config()["services"][service]["healthcheck"]["test"][1:]
        # Compose's own escape of a dollar sign.
        test = [part.replace("$$", "$") for part in test]
        for model, healthy in (("digits", True), ("no-such-model", False)):
            asked = ("exec", "--no-TTY", "--env", f"MODEL_NAME={model}", service, *test)
            assert (latest.compose(*asked).returncode == 0) == healthy, (service, model)


@pytest.mark.skipif(
    not (shutil.which("prometheus") and shutil.which("promtool")),
    reason="prometheus is not installed (Debian's package of that name)",
)
def test_prometheus_sees_both_servers(latest, tmp_path):
    """Debian's Prometheus in a container of the official image's form."""
    image = f"twinserve/prometheus-stand-in:{latest.name}"
    for program in ("prometheus", "promtool"):
        shutil.copy(str(shutil.which(program)), tmp_path / program)
    (tmp_path / "Dockerfile").write_text(
        "FROM debian:bookworm-slim\nCOPY prometheus promtool /bin/\n"
        "RUN mkdir /prometheus && chown 65534:65534 /prometheus\n"
        'USER 65534\nENTRYPOINT ["/bin/prometheus"]\n'
    )
    built = subprocess.run(
        ["docker", "build", "--quiet", "--tag", image, tmp_path],
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE_SECONDS,
    )
    assert built.returncode == 0, built.stderr
    changes = {"TWINSERVE_PROMETHEUS_IMAGE": image}
    try:
        done = latest.compose("up", "--detach", "--wait", "prometheus", **changes)
        assert done.returncode == 0, done.stderr + latest.compose("logs", "prometheus").stdout
        port = latest.environment["TWINSERVE_PROMETHEUS_PORT"]
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            query = {"query": "min_over_time(up[1m])"}
            deadline = time.monotonic() + SCRAPED_SECONDS
            found: list[dict[str, Any]] = []
            while len(found) < len(SERVERS) and time.monotonic() < deadline:
                time.sleep(0.5)
                found = client.get("/api/v1/query", params=query).json()["data"]["result"]
        assert {each["metric"]["job"]: each["value"][1] for each in found} == dict.fromkeys(
            SERVERS, "1"
        )
    finally:
        latest.compose("rm", "--stop", "--force", "--volumes", "prometheus", **changes)
        subprocess.run(["docker", "image", "rm", "--force", image], check=False)


# ---- make up, make down ----


def test_make_up_serves_a_named_version_and_says_how_to_ask(latest, served):
    done = latest.make("up", "VERSION=1")
    assert done.returncode == 0, done.stderr
    assert "Version 1 of digits: TF Serving API (embedded) and TorchServe" in done.stdout
    assert f"Prefect is left out: its image {NO_IMAGE} cannot be pulled" in done.stdout
    for name in ("TFSERVING_REST", "TFSERVING_GRPC", "TORCHSERVE_REST", "TORCHSERVE_GRPC"):
        assert f"127.0.0.1:{latest.environment[f'TWINSERVE_{name}_PORT']}" in done.stdout
    curls = [line for line in done.stdout.splitlines() if line.startswith("curl ")]
    assert len(curls) == 2
    for line in curls:
        answer = subprocess.run(line, shell=True, capture_output=True, text=True, check=True)
        assert len(json.loads(answer.stdout)["predictions"]) == 1
    assert wrong_answers(latest, served, 1) == []
    # And back to the latest, which is published already.
    assert latest.make("up").returncode == 0
    assert wrong_answers(latest, served, 2) == []


def test_make_ps_and_logs_show_both(latest):
    assert all(f"{latest.name}-{name}-1" in latest.make("ps").stdout for name in SERVERS)
    said = latest.make("logs", "ARGS=--tail=5 publish").stdout
    assert "version 2 is published" in said


def test_a_corrupt_version_is_not_served(latest, served, tmp_path):
    copied = tmp_path / "artifacts"
    shutil.copytree(served.artifacts, copied)
    (copied / "digits/2/pytorch/digits.mar").write_bytes(b"tampered with")
    done = latest.make("up", TWINSERVE_ARTIFACTS=str(copied))
    assert done.returncode != 0
    assert "MAR is corrupt" in done.stderr


def test_an_artifacts_folder_that_is_closed_to_the_container_is_told(latest, served, tmp_path):
    if os.geteuid() == 1000:
        pytest.skip("this user is the one inside the containers, to whom nothing here is closed")
    copied = tmp_path / "artifacts"
    shutil.copytree(served.artifacts, copied)
    copied.chmod(0o700)
    done = latest.make("up", TWINSERVE_ARTIFACTS=str(copied))
    assert done.returncode != 0
    assert "cannot be read" in done.stderr
    assert "chmod -R a+rX" in done.stderr


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"TWINSERVE_TORCHSERVE_IMAGE": NO_IMAGE}, ("ImageMissing", NO_IMAGE)),
        ({"DOCKER_HOST": "unix:///nonexistent/docker.sock"}, ("EngineUnavailable", "nonexistent")),
        ({"TWINSERVE_ARTIFACTS": "/nonexistent"}, ("ArtifactMissing", "make")),
        ({"TWINSERVE_CONTAINER_CPUS": "many"}, ("SettingsError", "TWINSERVE_CONTAINER_CPUS")),
    ],
)
def test_what_is_missing_is_told_in_one_message(place, changes, words):
    done = place.make("up", **changes)
    assert done.returncode != 0
    assert all(word in done.stderr for word in words), done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_compose_is_told(place, tmp_path):
    empty = {"DOCKER_CONFIG": str(tmp_path)}
    if not place.compose("version", **empty).returncode:
        pytest.skip("Compose v2 is installed for every user of this machine")
    for target in ("up", "down", "ps", "logs"):
        done = place.make(target, **empty)
        assert done.returncode != 0
        assert "Docker Compose v2 is not installed" in done.stderr


def test_monitoring_without_its_images_is_an_error(place):
    missing = {"TWINSERVE_PROMETHEUS_IMAGE": NO_IMAGE}
    done = place.make("up", "MONITORING=1", **missing)
    assert done.returncode != 0
    assert f"Prometheus's image {NO_IMAGE} is not here" in done.stderr


def test_down_leaves_nothing(latest):
    assert latest.left()
    assert latest.make("down", "VOLUMES=1").returncode == 0
    assert latest.left() == ""


def wrong_answers(place: Place, served: Served, version: int) -> list[str]:
    """Endpoints that do not answer as that version's models in memory do."""
    found = []
    case, manifest = served.space.case, served.manifests[version]
    for name in SERVERS:
        variables = {purpose: f"TWINSERVE_{name}_{purpose}_PORT".upper() for purpose in PORTS[name]}
        container = place.containers()[name]
        workdir = Path(place.environment["TWINSERVE_STATE"]) / f"asked-{container}"
        workdir.mkdir(exist_ok=True)
        service = SimpleNamespace(
            name=name,
            label=name,
            host="127.0.0.1",
            ports={key: int(place.environment[value]) for key, value in variables.items()},
            workdir=workdir,
            container=container,
        )
        for endpoint in endpoints_of(service):
            reference = Reference.of(served.space, endpoint.framework, manifest)
            wanted = {output: rows[ROWS] for output, rows in reference.test.items()}
            with endpoint.connect(case.name, case.contract) as client:
                answer = client.predict(reference.split.rows(ROWS).inputs)
            if not compare(case.contract, wanted, answer, case.tolerances.float32).passed:
                found.append(endpoint.title)
    return found
