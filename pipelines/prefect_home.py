"""Prefect's home inside the clone, and the server that a run reports to."""

from __future__ import annotations

import atexit
import os
import socket
import subprocess
import sys
import time
import tomllib
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.artifact import storage_errors
from models.case import case_names, load_case
from models.errors import PortInUse, ServerDied, ServerNotReady
from pipelines.settings import PROJECT, Settings
from pipelines.workspace import log
from serving.process import free_ports
from serving.process_tree import stop_process_tree

PROFILE = "twinserve"
HEALTH_TIMEOUT_SECONDS = 2.0
API_STARTUP_SECONDS = 120.0
API_STOP_SECONDS = 5.0
POLL_SECONDS = 0.1
FOR_ONE_RUN = {
    "PREFECT_UI_ENABLED": "0",
    "PREFECT__SERVER_EPHEMERAL": "1",
    "PREFECT__SERVER_FINAL": "1",
}
"""What Prefect's own ephemeral mode tells its server."""


def prepare_prefect(settings: Settings, verbose: bool) -> None:
    """Set Prefect's environment; call before Prefect is imported.

    What the user has set in the environment stays. Prefect's own lines stay out of the terminal, where ours are;
    they are in its UI.
    """
    home = settings.state / "prefect"
    with storage_errors(home, "TWINSERVE_STATE"):
        home.mkdir(parents=True, exist_ok=True)
    wanted = {
        "PREFECT_HOME": str(home),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_LOGGING_EXTRA_LOGGERS": "twinserve",
        # Threads outside the run say something too; Prefect's default is a warning for each.
        "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "INFO" if verbose else "CRITICAL",
        "PREFECT_RESULTS_LOCAL_STORAGE_PATH": str(home / "storage"),
        # Its own limit of 20 s is too short for a first start on a busy machine.
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
    }
    for name, value in wanted.items():
        os.environ.setdefault(name, value)
    url = os.environ.get("PREFECT_API_URL") or profile_url(home)
    if url and not answers(url):
        log.info("Prefect's server at %s does not answer; running without it", url)
        remove_profile(home)
        os.environ.pop("PREFECT_API_URL", None)


@dataclass(frozen=True)
class PrefectApi:
    """A Prefect server that is starting, or has been running.

    Attributes:
        url: of its API.
    """

    url: str

    def wait_ready(self) -> None:
        """
        Raises:
            ServerNotReady: it does not answer before the deadline.
        """
        deadline = time.monotonic() + API_STARTUP_SECONDS
        while not answers(self.url):
            if time.monotonic() > deadline:
                raise ServerNotReady(
                    f"Prefect's API did not answer at {self.url} within {API_STARTUP_SECONDS:.0f} s.",
                    "Is the machine very busy? `make prefect` keeps one running for all runs.",
                )
            time.sleep(POLL_SECONDS)


def start_prefect_api(settings: Settings, verbose: bool) -> PrefectApi:
    """The Prefect server that runs already, or else one for this run; the flow can be imported meanwhile.

    Call before Prefect is imported: what is registered with ``atexit`` first runs last, so that Prefect has
    sent its last log lines when the server is stopped.
    """
    prepare_prefect(settings, verbose)
    home = settings.state / "prefect"
    known = os.environ.get("PREFECT_API_URL") or profile_url(home)
    if known:
        return PrefectApi(known)
    port = free_ports(1)[0]
    with (home / "server.log").open("wb") as output:
        server = subprocess.Popen(
            [sys.executable, "-m", "pipelines.prefect_server", str(port)],
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, **FOR_ONE_RUN},
        )
    atexit.register(_stop, server)
    os.environ["PREFECT_API_URL"] = f"http://127.0.0.1:{port}/api"
    return PrefectApi(os.environ["PREFECT_API_URL"])


def _stop(server: subprocess.Popen[bytes]) -> None:
    stop_process_tree(server.pid, API_STOP_SECONDS)
    server.wait()


def write_profile(home: Path, url: str) -> None:
    """Make a server known to every `prefect` command in this folder, until ``remove_profile``."""
    home.mkdir(parents=True, exist_ok=True)
    text = f'active = "{PROFILE}"\n\n[profiles.{PROFILE}]\nPREFECT_API_URL = "{url}"\n'
    beside = home / "profiles.toml.tmp"
    beside.write_text(text)
    beside.replace(home / "profiles.toml")


def remove_profile(home: Path) -> None:
    (home / "profiles.toml").unlink(missing_ok=True)


def profile_url(home: Path) -> str:
    """The server that ``write_profile`` made known; empty without one."""
    try:
        profiles = tomllib.loads((home / "profiles.toml").read_text())
        url: str = profiles["profiles"][PROFILE]["PREFECT_API_URL"]
        return url
    except (OSError, KeyError, tomllib.TOMLDecodeError):
        return ""


def answers(url: str) -> bool:
    """Whether a Prefect server answers there."""
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=HEALTH_TIMEOUT_SECONDS) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError, ValueError):
        return False


def run_server(settings: Settings, port: int) -> None:
    """Prefect's server and UI on loopback, known to every command in this folder until it ends.

    Raises:
        PortInUse: somebody else listens there.
        ServerDied: the server ended by itself.
    """
    prepare_prefect(settings, verbose=True)
    home, url = settings.state / "prefect", f"http://127.0.0.1:{port}/api"
    _check_free(port)
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1"]
    server = subprocess.Popen([*command, "--port", str(port)])
    write_profile(home, url)
    try:
        code = server.wait()
    finally:
        remove_profile(home)
        stop_process_tree(server.pid, stop_seconds=10)
        server.wait()
    raise ServerDied(f"Prefect's server ended with exit code {code}.")


def serve_deployments(settings: Settings) -> None:
    """Serve the flows to the running Prefect server until Ctrl-C.

    `side-by-side` for every case, and `retrain`, on its schedule, for those with spans.

    Raises:
        ServerNotReady: no Prefect server answers.
    """
    prepare_prefect(settings, verbose=True)
    url = os.environ.get("PREFECT_API_URL") or profile_url(settings.state / "prefect")
    if not url:
        raise ServerNotReady(
            "No Prefect server is running.", "Run `make prefect` in another shell."
        )
    from prefect import serve

    from pipelines.flow import side_by_side
    from pipelines.retrain.flow import MONTHLY, retrain

    names = case_names(settings.case_folders)
    offered: list[Any] = [
        side_by_side.to_deployment(name=name, parameters={"case": name}, tags=["twinserve"])
        for name in names
    ]
    offered += [
        retrain.to_deployment(
            name=name, parameters={"case": name, "at_most": 1}, cron=MONTHLY, tags=["twinserve"]
        )
        for name in names
        if load_case(name, settings.case_folders).span
    ]
    serve(*offered)


def _check_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise PortInUse(
                f"Port {port} is taken: {error.strerror}.",
                "Choose another: `make prefect PORT=4300`.",
            ) from error
