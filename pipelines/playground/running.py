"""Serve the page on loopback until Ctrl-C; start both servers first where none runs."""

from __future__ import annotations

import os
import socket
import sys
import webbrowser
from contextlib import closing, suppress

import uvicorn
from rich.console import Console

from models.errors import EngineUnavailable, PortInUse
from pipelines.playground.application import Playground
from pipelines.playground.catalogue import Catalogue
from pipelines.playground.fleet import Fleet
from pipelines.reference import test_split
from pipelines.serve import StartedServers, leave_running, left_running
from pipelines.workspace import Workspace, log

HOST = "127.0.0.1"
END_SECONDS = 3


def run_playground(
    space: Workspace, port: int, browse: bool, console: Console, version: int | None = None
) -> None:
    """Open the page, and stop at the end what was started for it.

    Args:
        space: the case.
        port: where the page is; 0 takes a free one.
        browse: whether to open a browser, where there is one.
        console: where to say so.
        version: what to start if no server runs; the latest for None.

    Raises:
        PortInUse: somebody else listens there.
        ArtifactMissing: nothing has been exported.
        ServerError: a server did not get ready.
    """
    with closing(_bound(port)) as listener:
        servers = left_running(space)
        manifest = space.manifest(int(servers[0].tags["version"]) if servers else version)
        catalogue = Catalogue.of(space.case, test_split(space, manifest))
        started = None if servers else leave_running(space, manifest)
        try:
            with closing(Fleet(space, manifest)) as fleet:
                url = f"http://{HOST}:{listener.getsockname()[1]}/"
                # Who comes before the application runs waits, and is not refused.
                listener.listen()
                _invite(console, url, started)
                if browse and _has_browser():
                    webbrowser.open(url)
                _serve(Playground(catalogue, fleet), listener)
        finally:
            if started:
                with suppress(EngineUnavailable):
                    started.stop()


def _serve(playground: Playground, listener: socket.socket) -> None:
    """Until a signal, which is raised again afterwards and ends the command as every other."""
    config = uvicorn.Config(
        playground.application(),
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=END_SECONDS,
        limit_concurrency=64,
    )
    uvicorn.Server(config).run(sockets=[listener])


def _bound(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError as error:
        listener.close()
        raise PortInUse(
            f"The playground cannot listen on {HOST}:{port}: {error.strerror}.",
            "Name another port: `make playground PORT=8081`; 0 takes a free one.",
        ) from error
    return listener


def _invite(console: Console, url: str, started: StartedServers | None) -> None:
    if started:
        log.info("Both servers were started for the page; they end with it")
    console.print(f"\nPlayground: [bold]{url}[/]  (Ctrl-C ends it)", highlight=False)


def _has_browser() -> bool:
    """Whether a window can open; a text browser would take the terminal over."""
    return sys.platform in ("darwin", "win32") or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")
    )
