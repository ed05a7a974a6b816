"""A gRPC server on the C core of ``grpcio``, worked in the event loop.

The core does what is gRPC: HTTP/2, flow control, TLS, compression, limits, deadlines, keep-alive. It
puts what has happened into a completion queue. ``grpc.aio`` makes tasks and futures of that, several
for each call, which costs more than a small model takes. The interface to the core is that of
``grpc/_server.py``, grpcio's own server with threads; it is not public, and grpcio is pinned.

While nothing happens, a thread waits at the queue. It hands the first event to the loop and waits
until the loop has emptied the queue itself. So the two never compete for Python's lock, and there is one
switch of threads for each burst of calls instead of several for each call. A client that is alone has its
next request here soon: the loop looks out for it a moment, which costs less than to wake two threads.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
import weakref
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from grpc import StatusCode
from grpc._cython import cygrpc  # type: ignore[attr-defined]

from serving.tfserving.embedded.rpc.call import Call, Method, Unfinished, end_at_once

log = logging.getLogger(__name__)

TURN_SECONDS = 0.002
"""Longest that the loop stays with gRPC's events before it looks after its other duties."""

LINGER_SECONDS = 0.0001
"""How long the loop looks out for the next event before a thread waits for it. Measured with one client of the
digits network: 0.44 instead of 0.72 ms for a call, and a third less processor time."""

CALLS_AHEAD = 64
"""Calls that the core may hand over without being asked once more."""

_HAPPENED = cygrpc.CompletionType.operation_complete

END_SECONDS = 5.0
"""Longest wait for calls that have been cancelled to end."""


class GrpcServer:
    """Ports and methods, in the event loop in which it is started.

    Args:
        options: pairs of name and value, as ``grpc.server`` takes them.
    """

    def __init__(self, options: Sequence[tuple[str, int | str]]) -> None:
        self._queue = cygrpc.CompletionQueue()
        self._core = cygrpc.Server(tuple(options), False)
        self._core.register_completion_queue(self._queue)
        self._methods: dict[bytes, Method] = {}
        self._unfinished = Unfinished()
        self._open: weakref.WeakSet[Call] = weakref.WeakSet()
        self._found: deque[Any] = deque()
        self._is_empty = threading.Semaphore(0)
        self._is_stopping = False
        self._loop: asyncio.AbstractEventLoop
        self._ended: asyncio.Future[None]

    def add_service(self, name: str, methods: Mapping[str, Method]) -> None:
        """Answer a service's methods; all others are UNIMPLEMENTED.

        Args:
            name: the service's, with its package.
            methods: by name.
        """
        self._methods |= {f"/{name}/{method}".encode(): each for method, each in methods.items()}

    def add_insecure_port(self, address: str) -> int:
        """Listen without encryption; the port.

        Raises:
            RuntimeError: it cannot be had.
        """
        return self._add_port(address)

    def add_secure_port(self, address: str, credentials: Any) -> int:
        """Listen; the port.

        Raises:
            RuntimeError: it cannot be had, or the credentials cannot be used.
        """
        return self._add_port(address, credentials._credentials)

    def start(self) -> None:
        """Take calls. In the event loop."""
        self._loop = asyncio.get_running_loop()
        self._ended = self._loop.create_future()
        self._core.start()
        for _ in range(CALLS_AHEAD):
            self._ask_for_call()
        threading.Thread(target=self._wait_for_events, name="grpc", daemon=True).start()

    async def stop(self, grace_seconds: float) -> None:
        """Take no more calls; those in progress have so long, then they are cancelled."""
        if self._is_stopping:
            return
        self._is_stopping = True
        self._core.shutdown(self._queue, self._end)
        for call in tuple(self._open):
            call.close()
        ended, _ = await asyncio.wait([self._ended], timeout=grace_seconds)
        if not ended:
            self._core.cancel_all_calls()
            ended, _ = await asyncio.wait([self._ended], timeout=END_SECONDS)
        if ended:
            self._core.destroy()
            self._queue.shutdown()
        else:
            log.warning("gRPC has not ended all calls; they are given up")

    def _add_port(self, address: str, *credentials: Any) -> int:
        port = self._core.add_http2_port(address.encode(), *credentials)
        if not port:
            raise RuntimeError(f"Failed to bind to address {address}")
        return int(port)

    def _ask_for_call(self) -> None:
        self._core.request_call(self._queue, self._queue, self._take_call)

    def _take_call(self, event: Any) -> None:
        if not event.success or self._is_stopping:  # nobody has called: the server stops
            return
        self._ask_for_call()
        method = self._methods.get(event.call_details.method)
        if method is None:
            end_at_once(event.call, StatusCode.UNIMPLEMENTED)
            return
        call = Call(event.call, method, self._unfinished)
        if method.stays_open:
            self._open.add(call)

    def _end(self, _event: Any) -> None:
        """The last call has ended."""
        if not self._ended.done():
            self._ended.set_result(None)

    def _wait_for_events(self) -> None:
        """In a thread of its own, which no event outlives."""
        while self._wait_for_event():
            try:
                self._loop.call_soon_threadsafe(self._take_events)
            except RuntimeError:  # the loop is closed: the server has ended
                return
            self._is_empty.acquire()

    def _wait_for_event(self) -> bool:
        """Whether there is one; the queue may have been shut down instead."""
        event = self._queue.poll(None)
        if event.completion_type != _HAPPENED:
            return False
        self._found.append(event)
        return True

    def _look_out(self) -> Any:
        """The next event; none where none comes soon, or where others wait for the loop meanwhile."""
        event = self._queue.poll(0)
        if not self._unfinished.is_empty:
            return event
        until = time.monotonic() + LINGER_SECONDS
        while event.completion_type != _HAPPENED and time.monotonic() < until:
            event = self._queue.poll(0)
        return event

    def _take_events(self) -> None:
        """In the event loop: do what the queue says until it is empty, or for as long as is fair."""
        until = time.monotonic() + TURN_SECONDS
        while True:
            event = self._found.popleft() if self._found else self._look_out()
            if event.completion_type != _HAPPENED:
                self._is_empty.release()
                return
            try:
                event.tag(event)
            except Exception:
                log.exception("an event of gRPC's could not be handled")
            del event  # it holds the call, and an ended call must not be held while polling
            if time.monotonic() > until:
                self._loop.call_soon(self._take_events)
                return
