"""The servers that this process has running, wherever they run, so that none outlives it unasked."""

from __future__ import annotations

import threading
from contextlib import suppress

from models.errors import ServerDied, TwinServeError
from serving.server import Server

_running: list[Server] = []
_lock = threading.Lock()
_ended_for_good = threading.Event()


def check_may_start(label: str) -> None:
    """
    Raises:
        ServerDied: the run is being stopped; nothing may be started any more.
    """
    if _ended_for_good.is_set():
        raise ServerDied(f"{label} was not started: the run was stopped.")


def add(server: Server) -> None:
    """It runs now."""
    with _lock:
        _running.append(server)


def discard(server: Server) -> None:
    """It does not run any more, or never did."""
    with _lock, suppress(ValueError):
        _running.remove(server)


def stop_all(for_good: bool = False) -> None:
    """Stop every server that this process has running.

    Args:
        for_good: start none any more, because this process is about to end.
    """
    if for_good:
        _ended_for_good.set()
    for server in list(_running):
        with suppress(TwinServeError):  # the others still have to be stopped
            server.stop()
