"""How a closed-loop client sends a ready request: HTTP through aiohttp, gRPC through grpc.aio."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

import aiohttp
import grpc

from models.errors import ServerFault, Unreachable
from serving.wire.call import WireCall

REQUEST_TIMEOUT_SECONDS = 30.0
NO_ANSWER = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


class Sender(Protocol):
    """Sends one ready request and returns the answer's bytes."""

    async def send(self, call: WireCall) -> bytes:
        """
        Raises:
            ServerFault: any answer but success.
            Unreachable: none.
        """
        ...


@asynccontextmanager
async def open_sender(protocol: str) -> AsyncIterator[Sender]:
    """A sender with a connection of its own, closed at the end."""
    sender = RestSender() if protocol == "REST" else GrpcSender()
    try:
        yield sender
    finally:
        await sender.close()


class RestSender:
    """One kept HTTP connection."""

    def __init__(self) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=1),
            timeout=aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_SECONDS),
            trust_env=False,
        )

    async def send(self, call: WireCall) -> bytes:
        try:
            async with self._session.post(
                call.target, data=call.body, headers=call.headers
            ) as answer:
                body = await answer.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Unreachable(f"{call.target}: {str(error) or type(error).__name__}") from error
        if answer.status != 200:
            raise ServerFault(body.decode(errors="replace"), str(answer.status))
        return body

    async def close(self) -> None:
        await self._session.close()


class GrpcSender:
    """One channel with a connection of its own; messages stay bytes."""

    OPTIONS = (("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0))

    def __init__(self) -> None:
        self._channel: grpc.aio.Channel | None = None

    async def send(self, call: WireCall) -> bytes:
        if self._channel is None:
            self._channel = grpc.aio.insecure_channel(call.target, options=self.OPTIONS)
            self._method = self._channel.unary_unary(call.method, bytes, bytes)
        try:
            answer: bytes = await self._method(
                call.body, metadata=call.headers, timeout=REQUEST_TIMEOUT_SECONDS
            )
            return answer
        except grpc.aio.AioRpcError as error:
            kind = Unreachable if error.code() in NO_ANSWER else ServerFault
            raise kind(error.details() or "", error.code().name) from error

    async def close(self) -> None:
        if self._channel is not None:
            await self._channel.close(None)
