"""A socket in front of the Docker engine's, which can go away as an engine does."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from models.errors import EngineUnavailable

CHUNK_BYTES = 65536
DEFAULT_SOCKET = "/var/run/docker.sock"


class Relay:
    """Passes everything on to the engine, until it goes away.

    Args:
        path: of the socket to make; at most 107 bytes.

    Raises:
        EngineUnavailable: the engine is not behind a Unix socket.
    """

    def __init__(self, path: Path) -> None:
        self._engine = _engine_socket()
        self._path = path
        self._open: list[socket.socket] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def address(self) -> str:
        """For ``DOCKER_HOST``."""
        return f"unix://{self._path}"

    def __enter__(self) -> Relay:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.go_away()

    def go_away(self) -> None:
        """Nothing listens there any more, and what was connected is cut off."""
        self._path.unlink(missing_ok=True)
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for each in self._open:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.socket(socket.AF_UNIX)
            far.connect(self._engine)
            self._open += [near, far]
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=_pump, args=(one, other), daemon=True).start()


def _pump(one: socket.socket, other: socket.socket) -> None:
    with suppress(OSError):
        while chunk := one.recv(CHUNK_BYTES):
            other.sendall(chunk)
        other.shutdown(socket.SHUT_WR)


def _engine_socket() -> str:
    # The SDK's own reading of DOCKER_HOST, which names the engine for every command.
    from docker.utils import kwargs_from_env  # noqa: PLC0415

    scheme, _, path = str(
        kwargs_from_env().get("base_url") or f"unix://{DEFAULT_SOCKET}"
    ).rpartition("://")
    if "unix" not in scheme:
        raise EngineUnavailable(
            "The engine is not behind a Unix socket, so it cannot be made to go away here.",
            "Leave DOCKER_HOST empty for this drill.",
        )
    return path
