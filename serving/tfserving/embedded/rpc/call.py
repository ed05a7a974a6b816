"""One call of a client: its message, then an answer or a status."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import DecodeError, Message
from grpc import StatusCode
from grpc._cython import cygrpc  # type: ignore[attr-defined]

from serving.tfserving.embedded.desk import Done
from serving.tfserving.embedded.status import StatusError

log = logging.getLogger(__name__)

Begin = Callable[[Any, int], Done | Coroutine[Any, Any, Done]]
"""From a request and its size in bytes to the answer, or to what has to be awaited for it."""

Count = Callable[[Any, StatusCode, float], None]
"""Told the request, how the call ended, and after how many seconds."""

MOST_CHARACTERS = 1024
"""TF Serving cuts error messages there: ``ToGRPCStatus`` in ``grpc_status_util.cc``."""

UNREADABLE = StatusError(StatusCode.INTERNAL, "")
NO_MESSAGE = StatusError(StatusCode.INTERNAL, "No payload")
"""``GenericDeserialize`` in gRPC's ``proto_utils.h``."""

_NO_FLAGS = 0


@dataclass(frozen=True, slots=True)
class Method:
    """What is done with a call.

    Attributes:
        kind: of the request's message.
        begin: does the work.
        count: told of every call whose message could be read.
        unreadable: the end of a call whose message could not.
        stays_open: after its answer the call goes on until the client ends it.
    """

    kind: type[Message]
    begin: Begin
    count: Count | None = None
    unreadable: StatusError = UNREADABLE
    stays_open: bool = False

    def read(self, message: bytes | None) -> Any:
        """Raises:
        StatusError: that is no message of this kind.
        """
        if message is None:
            raise _anew(NO_MESSAGE)
        try:
            return self.kind.FromString(message)
        except DecodeError:
            raise _anew(self.unreadable) from None


def _anew(error: StatusError) -> StatusError:
    """An exception keeps the traceback of every time that it is raised: the same one again and again would keep
    every unreadable message for ever."""
    return StatusError(error.code, error.message)


class Call:
    """Used in the event loop only.

    Args:
        core: gRPC's own call.
        method: what is done with it.
        unfinished: is told of a call whose work takes time.
    """

    __slots__ = (
        "__weakref__", "_core", "_is_watched", "_method", "_request", "_started", "_task",
        "_unfinished",
    )  # fmt: skip

    def __init__(self, core: Any, method: Method, unfinished: Unfinished) -> None:
        self._core = core
        self._method = method
        self._unfinished = unfinished
        self._request: Any = None
        self._started = 0.0
        self._is_watched = False
        self._task: asyncio.Task[None] | None = None
        core.start_server_batch((cygrpc.ReceiveMessageOperation(_NO_FLAGS),), self._take)

    def close(self) -> None:
        """End a call that stays open: the server stops."""
        if self._is_watched and self._method.stays_open:
            code, details = StatusCode.CANCELLED.value[0], b"not writing due to shutdown"
            operation = cygrpc.SendStatusFromServerOperation(None, code, details, _NO_FLAGS)
            self._core.start_server_batch((operation,), _ignore)

    def _take(self, event: Any) -> None:
        """The message is there."""
        self._started = time.perf_counter()
        message = event.batch_operations[0].message()
        try:
            self._request = self._method.read(message)
        except StatusError as error:
            self._end(error.code, error.message)
            return
        try:
            reached = self._method.begin(self._request, len(message))
        except Exception as error:
            self._refuse(error)
            return
        if isinstance(reached, Done):
            self._answer(reached.answer)
        else:
            self._task = self._unfinished.begin(self, self._finish(reached))

    async def _finish(self, work: Awaitable[Done]) -> None:
        try:
            done = await work
        except Exception as error:
            self._refuse(error)
        else:
            self._answer(done.answer)
        finally:
            self._unfinished.discard(self)

    def watch(self) -> None:
        """End the work when nobody waits for it any more."""
        if self._is_watched:
            return
        self._is_watched = True
        operation = cygrpc.ReceiveCloseOnServerOperation(_NO_FLAGS)
        self._core.start_server_batch((operation,), self._note_close)

    def _note_close(self, event: Any) -> None:
        if event.batch_operations[0].cancelled() and self._task is not None:
            self._task.cancel()

    def _answer(self, message: Message) -> None:
        content = message.SerializeToString()
        self._count(StatusCode.OK)
        if self._method.stays_open:
            self.watch()
            self._core.start_server_batch(
                (
                    cygrpc.SendInitialMetadataOperation(None, _NO_FLAGS),
                    cygrpc.SendMessageOperation(content, _NO_FLAGS),
                ),
                _ignore,
            )
        else:
            self._send_end(StatusCode.OK, b"", cygrpc.SendMessageOperation(content, _NO_FLAGS))

    def _refuse(self, error: Exception) -> None:
        """Nothing that is thrown gets further."""
        if not isinstance(error, StatusError):
            log.error("a gRPC request failed", exc_info=error)
            error = StatusError(StatusCode.INTERNAL, f"{type(error).__name__}: {error}")
        self._count(error.code)
        self._end(error.code, error.message)

    def _end(self, code: StatusCode, message: str) -> None:
        if len(message) > MOST_CHARACTERS:
            message = message[:MOST_CHARACTERS] + "...TRUNCATED"
        self._send_end(code, message.encode(errors="replace"))

    def _send_end(self, code: StatusCode, details: bytes, *answer: Any) -> None:
        operations = [
            cygrpc.SendInitialMetadataOperation(None, _NO_FLAGS),
            *answer,
            cygrpc.SendStatusFromServerOperation(None, code.value[0], details, _NO_FLAGS),
        ]
        if not self._is_watched:  # gRPC wants to be asked once for every call
            operations.append(cygrpc.ReceiveCloseOnServerOperation(_NO_FLAGS))
        self._core.start_server_batch(operations, _ignore)

    def _count(self, code: StatusCode) -> None:
        if self._method.count is not None:
            self._method.count(self._request, code, time.perf_counter() - self._started)


class Unfinished:
    """The calls whose work takes time. Only those that take long are asked whether anybody waits.

    To ask costs as much as a tenth of a whole call.
    """

    LOOK_SECONDS = 0.05

    def __init__(self) -> None:
        self._new: set[Call] = set()
        self._old: set[Call] = set()
        self._looks = False

    @property
    def is_empty(self) -> bool:
        return not self._new and not self._old

    def begin(self, call: Call, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start a call's work."""
        loop = asyncio.get_running_loop()
        self._new.add(call)
        if not self._looks:
            self._looks = True
            loop.call_later(self.LOOK_SECONDS, self._look)
        return loop.create_task(work)

    def discard(self, call: Call) -> None:
        """A call has ended."""
        self._new.discard(call)
        self._old.discard(call)

    def _look(self) -> None:
        for call in self._old:
            call.watch()
        self._old, self._new = self._new, set()
        self._looks = bool(self._old)
        if self._looks:
            asyncio.get_running_loop().call_later(self.LOOK_SECONDS, self._look)


def end_at_once(core: Any, code: StatusCode) -> None:
    """Refuse a call without reading its message."""
    core.start_server_batch(
        (
            cygrpc.SendInitialMetadataOperation(None, _NO_FLAGS),
            cygrpc.SendStatusFromServerOperation(None, code.value[0], b"", _NO_FLAGS),
            cygrpc.ReceiveCloseOnServerOperation(_NO_FLAGS),
        ),
        _ignore,
    )


def _ignore(_event: Any) -> None:
    """Nothing has to be done when a batch of operations has ended."""
