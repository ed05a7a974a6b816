"""``python -m pipelines.compose``: docker-compose.yml, with what a person needs around it.

``docker compose up`` works without this. What this adds: it says what is missing before Compose does, takes the TF
Serving image that is here, pins "latest" to its number so that a newer version makes new containers, and prints
lines to paste.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from models.artifact import Manifest, storage_errors
from models.errors import ImageMissing, ServerMissing, ServerNotReady, SettingsError
from pipelines import terminal
from pipelines.in_service import manifest_to_serve
from pipelines.invitation import print_invitation
from pipelines.settings import PROJECT, Settings, read_settings
from pipelines.workspace import Workspace, log
from serving.engine import connect
from serving.images import tfserving_image, torchserve_image
from serving.tfserving.contained import INSIDE as TFSERVING_PORTS
from serving.torchserve.contained import INSIDE as TORCHSERVE_PORTS
from serving.torchserve.tokens import KEY_FILE

app = typer.Typer(
    help="Both servers, and Prefect's beside them, by Docker Compose.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
out = Console()

COMPOSE = ("docker", "compose")
HOST = "127.0.0.1"
PORTS = {
    "tfserving": {name: TFSERVING_PORTS[name] for name in ("rest", "grpc")},
    "torchserve": {name: TORCHSERVE_PORTS[name] for name in ("rest", "management", "grpc")},
}
"""Inside the containers, of those that are published."""
PREFECT = {"prefect": 4200}
MONITORING = {"prometheus": 9090, "grafana": 3000}
TITLES = {"prefect": "Prefect", "prometheus": "Prometheus", "grafana": "Grafana"}

ANSWER_SECONDS = 60.0
PULL_SECONDS = 900.0
SPARE_SECONDS = 60
"""What Compose may take beside the servers' own way to readiness."""


@dataclass(frozen=True)
class Service:
    """A server that Compose has started, as ``serving.endpoints`` wants it.

    Attributes:
        name: the service's.
        label: what its image holds.
        ports: published port by purpose.
        workdir: for samples and copies of keys.
        container: id of its container.
    """

    name: str
    label: str
    ports: Mapping[str, int]
    workdir: Path
    container: str
    host: str = HOST


@app.callback()
def start(verbose: Annotated[bool, typer.Option("--verbose", "-v")] = False) -> None:
    terminal.start(out, verbose)


@app.command()
def up(
    case: Annotated[str, typer.Option(help="The case to serve.")] = "digits",
    version: Annotated[
        int | None, typer.Option(min=1, help="If left out, the one in service, else the latest.")
    ] = None,
    monitoring: Annotated[
        bool, typer.Option("--monitoring", help="Prometheus and Grafana too.")
    ] = False,
) -> None:
    """Start everything, wait until it is healthy, print how to ask."""
    settings = read_settings()
    space = Workspace.open(case, settings)
    manifest = manifest_to_serve(space, version)
    labels, environment = _environment(settings, manifest)
    check_compose()
    services = [*PORTS, *_beside(environment, monitoring)]
    log.info(f"Version {manifest.version} of {case}: {' and '.join(labels.values())}")
    _bring_up(services, environment, settings)
    servers = [_service(name, label, settings, environment) for name, label in labels.items()]
    print_invitation(space, manifest, servers, out, closing="")
    for name, port in {**PREFECT, **MONITORING}.items():
        if name in services:
            url = f"http://{HOST}:{_published(name, port, environment)}"
            out.print(f"[bold]{TITLES[name]}[/]  {url}", highlight=False)
    out.print("\nSee them with `make ps`, `make logs`; end them with `make down`.", highlight=False)


@app.command()
def down(
    volumes: Annotated[
        bool, typer.Option("--volumes", help="With what is stored: Prefect's runs, figures.")
    ] = False,
) -> None:
    """Stop and remove the containers and their network."""
    check_compose()
    more = ["--volumes"] if volumes else []
    _compose("--profile", "*", "down", "--remove-orphans", *more)


@app.command()
def ps() -> None:
    """What runs, and how healthy it is."""
    check_compose()
    _compose("--profile", "*", "ps", "--all")


@app.command()
def logs(
    services: Annotated[list[str] | None, typer.Argument()] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f")] = False,
    tail: Annotated[int, typer.Option(min=0, help="Lines of each.")] = 100,
) -> None:
    """What they have said."""
    check_compose()
    more = ["--follow"] if follow else []
    _compose("--profile", "*", "logs", f"--tail={tail}", *more, *(services or []))


def check_compose() -> None:
    """Whether Docker Compose v2 and an engine are there.

    Raises:
        ServerMissing: there is no Compose v2.
        EngineUnavailable: no engine answers.
    """
    connect().close()
    if shutil.which("docker") is None:
        raise ServerMissing("There is no `docker` command here.", "Install Docker's command line.")
    if _run("docker", "compose", "version", "--short").returncode:
        raise ServerMissing(
            "Docker Compose v2 is not installed.",
            "Install its plugin (https://docs.docker.com/compose/install/), or use "
            "`make demo LAUNCHER=docker` and `make serve`, which need none.",
        )


def _environment(
    settings: Settings, manifest: Manifest
) -> tuple[dict[str, str], Mapping[str, str]]:
    """Each server's label, and Compose's environment.

    Raises:
        EngineUnavailable: no engine answers.
        ImageMissing: an image is not here.
    """
    client = connect()
    try:
        tfserving = tfserving_image(client, settings.tfserving_image)
        torchserve = torchserve_image(client, settings.torchserve_image)
    finally:
        client.close()
    chosen = {
        "TWINSERVE_ARTIFACTS": str(settings.artifacts),
        "TWINSERVE_CASE": manifest.case,
        "TWINSERVE_VERSION": str(manifest.version),
        "TWINSERVE_TFSERVING_IMAGE": tfserving.name,
        "TWINSERVE_TORCHSERVE_IMAGE": torchserve.name,
    }
    labels = {"tfserving": tfserving.label, "torchserve": torchserve.label}
    return labels, {**os.environ, **chosen}


def _beside(environment: Mapping[str, str], monitoring: bool) -> list[str]:
    """The services beside the servers; what was not asked for may be left out, and then that is said.

    Raises:
        ImageMissing: an image of what was asked for cannot be had.
    """
    found = []
    images = _images(environment)
    for name in (*PREFECT, *(MONITORING if monitoring else ())):
        if _is_here(images[name]) or _is_pulled(name, images[name], environment):
            found.append(name)
        elif name in MONITORING:
            raise ImageMissing(
                f"{TITLES[name]}'s image {images[name]} is not here and cannot be pulled.",
                "Leave MONITORING out, or pull it where a registry can be reached.",
            )
        else:
            log.warning(f"{TITLES[name]} is left out: its image {images[name]} cannot be pulled")
    return found


def _images(environment: Mapping[str, str]) -> dict[str, str]:
    """Image by service.

    Raises:
        SettingsError: Compose does not accept the file with these settings.
    """
    said = _run(*COMPOSE, "--profile", "*", "config", "--format", "json", environment=environment)
    if said.returncode:
        raise SettingsError(
            f"Docker Compose refuses docker-compose.yml: {said.stderr.strip()}",
            "Look at the variables named TWINSERVE_…: `python -m pipelines settings` lists them.",
        )
    return {name: each["image"] for name, each in json.loads(said.stdout)["services"].items()}


def _is_here(image: str) -> bool:
    return not _run("docker", "image", "inspect", image).returncode


def _is_pulled(service: str, image: str, environment: Mapping[str, str]) -> bool:
    log.info(f"Pulling {image}")
    command = [*COMPOSE, "--profile", "*", "pull", service]
    try:
        return not subprocess.run(
            command, cwd=PROJECT, env=environment, timeout=PULL_SECONDS, check=False
        ).returncode
    except subprocess.TimeoutExpired:
        return False


def _bring_up(services: Sequence[str], environment: Mapping[str, str], settings: Settings) -> None:
    seconds = round(settings.startup_timeout_seconds) + SPARE_SECONDS
    flags = ["--detach", "--wait", f"--wait-timeout={seconds}"]
    command = [*COMPOSE, "--profile", "*", "up", *flags, *services]
    try:
        ended = subprocess.run(
            command, cwd=PROJECT, env=environment, timeout=2 * seconds, check=False
        ).returncode
    except subprocess.TimeoutExpired:
        ended = 1
    if ended:
        said = _run(*COMPOSE, "logs", "--tail=20", "--no-color", environment=environment)
        raise ServerNotReady(
            "Docker Compose did not bring everything up; its own words are above.",
            f"The end of the logs:\n{said.stdout.strip()}\n`make down` removes what was started.",
        )


def _service(name: str, label: str, settings: Settings, environment: Mapping[str, str]) -> Service:
    workdir = settings.state / "compose" / name
    with storage_errors(workdir, "TWINSERVE_STATE"):
        workdir.mkdir(parents=True, exist_ok=True)
        (workdir / KEY_FILE).unlink(missing_ok=True)  # of an earlier container
    ports = {
        purpose: _published(name, inside, environment) for purpose, inside in PORTS[name].items()
    }
    container = _run(*COMPOSE, "ps", "--quiet", name, environment=environment).stdout.strip()
    return Service(name, label, ports, workdir, container)


def _published(service: str, port: int, environment: Mapping[str, str]) -> int:
    said = _run(*COMPOSE, "port", service, str(port), environment=environment).stdout.strip()
    if not said.rpartition(":")[2].isdigit():
        raise ServerNotReady(f"Compose does not say where port {port} of {service} is published.")
    return int(said.rpartition(":")[2])


def _compose(*arguments: str) -> None:
    """Compose with its own output; its exit code is ours."""
    ended = subprocess.run([*COMPOSE, *arguments], cwd=PROJECT, check=False).returncode
    if ended:
        raise typer.Exit(ended)


def _run(
    *command: str, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """A short question."""
    return subprocess.run(
        command,
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=ANSWER_SECONDS,
        check=False,
    )


if __name__ == "__main__":
    sys.exit(terminal.run(app))
