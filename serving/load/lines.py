"""Sockets with their connections, and one loop that waits for all of them.

The sockets do not block and nothing stands between them and the caller: what a request costs the client is a
``send``, a wait and a ``recv``. An event loop of asyncio's kind would add about as much as a fast server takes.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Self

from models.errors import Unreachable
from serving.load.connection import Connection

CONNECT_SECONDS = 10.0
_READ_BYTES = 256 * 1024
_NO_LOCK = nullcontext()


class Line:
    """One socket and what is spoken on it.

    Args:
        sock: connected.
        connection: reads and writes its bytes.
        when_full: told when bytes are left that the socket does not take, and when none are any more.
    """

    def __init__(
        self, sock: socket.socket, connection: Connection, when_full: Callable[[Line, bool], None]
    ) -> None:
        self.sock, self.connection = sock, connection
        self._when_full = when_full
        self._unsent = b""
        connection.connected(self._write)

    def read(self) -> None:
        """What is there goes to the connection."""
        try:
            data = self.sock.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            self.connection.lost(str(error))
            return
        if data:
            self.connection.received(data)
        else:
            self.connection.lost("closed by the server")

    def write_rest(self) -> None:
        """The socket takes more."""
        data, self._unsent = self._unsent, b""
        self._when_full(self, False)
        self._write(data)

    def _write(self, data: bytes) -> None:
        if self._unsent:
            self._unsent += data
            return
        try:
            sent = self.sock.send(data)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self.connection.lost(str(error))
            return
        if sent < len(data):
            self._unsent = data[sent:]
            self._when_full(self, True)


class Lines:
    """Connections to one address; use it as a context manager.

    Args:
        host: where to.
        port: where to.
        make: a new connection, not yet on a line.
        count: how many.

    Raises:
        Unreachable: nobody listens there.
    """

    def __init__(self, host: str, port: int, make: Callable[[], Connection], count: int) -> None:
        self._epoll = select.epoll()
        self._by_number: dict[int, Line] = {}
        try:
            for _ in range(count):
                self._open(host, port, make())
        except OSError as error:
            self.close()
            raise Unreachable(f"{host}:{port} takes no connection: {error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def connections(self) -> Sequence[Connection]:
        return [line.connection for line in self._by_number.values()]

    def poll(self, timeout_seconds: float, lock: AbstractContextManager[object] = _NO_LOCK) -> None:
        """Wait for answers, at most so long, and hand over those that are there.

        Args:
            timeout_seconds: the longest wait.
            lock: held while they are handed over, where another thread sends.
        """
        for number, event in self._epoll.poll(timeout_seconds):
            with lock:
                self._serve(number, event)

    def _serve(self, number: int, event: int) -> None:
        line = self._by_number[number]
        if event & select.EPOLLOUT:
            line.write_rest()
        if event & ~select.EPOLLOUT:
            line.read()
        if line.connection.is_closed:
            self._epoll.unregister(number)

    def close(self) -> None:
        for line in self._by_number.values():
            line.connection.close()
            line.sock.close()
        self._by_number.clear()
        self._epoll.close()

    def _open(self, host: str, port: int, connection: Connection) -> None:
        sock = socket.create_connection((host, port), CONNECT_SECONDS)
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._epoll.register(sock.fileno(), select.EPOLLIN)
        self._by_number[sock.fileno()] = Line(sock, connection, self._when_full)

    def _when_full(self, line: Line, full: bool) -> None:
        self._epoll.modify(line.sock.fileno(), select.EPOLLIN | (select.EPOLLOUT if full else 0))
