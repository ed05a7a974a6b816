"""Ports, signals, start and stop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import AsyncIterator, Iterator

import uvicorn
import uvloop
from grpc import StatusCode

from serving.tfserving.embedded.flags import Flags
from serving.tfserving.embedded.grpc_front import make_grpc_server
from serving.tfserving.embedded.models import Models, newest_version
from serving.tfserving.embedded.predict import Desk
from serving.tfserving.embedded.rest_front import RestFront
from serving.tfserving.embedded.saved_model import load_servable
from serving.tfserving.embedded.status import StatusError
from serving.tfserving.embedded.tensorflow_session import SessionOptions

HOST = "127.0.0.1"
"""Loopback only: there is neither encryption nor a check of who asks."""

GRACE_SECONDS = 5.0
"""How long requests in progress may take to finish when the server is stopped."""

log = logging.getLogger(__name__)


def load_models(flags: Flags) -> Models:
    """Load the newest version under the base path.

    Raises:
        StatusError: there is none, or it cannot be loaded.
    """
    version, folder = newest_version(flags.base_path)
    tags = frozenset(flags.saved_model_tags.split(","))
    options = SessionOptions(flags.intra_op_threads, flags.inter_op_threads)
    try:
        servable = load_servable(flags.model_name, version, folder, tags, options)
    except StatusError as error:
        raise StatusError(
            error.code,
            "1 servable(s) did not become available: "
            f"{{{{name: {flags.model_name} version: {version}}} due to error: {error}}}",
        ) from error
    log.info("Loaded %s version %d from %s", flags.model_name, version, folder)
    return Models({flags.model_name: {version: servable}})


def serve(models: Models, flags: Flags) -> None:
    """Answer until SIGTERM or SIGINT, finish what is in progress, and return.

    Raises:
        StatusError: a port is taken.
    """
    uvloop.run(_serve(models, flags))


async def _serve(models: Models, flags: Flags) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    desk = Desk()
    async with contextlib.AsyncExitStack() as fronts:
        if flags.port:
            await fronts.enter_async_context(_grpc_front(models, desk, flags))
        if flags.rest_api_port:
            await fronts.enter_async_context(_rest_front(models, desk, flags))
        await stop.wait()
        log.info("Stopping: no new requests; those in progress are finished")
    desk.close()
    models.close()


@contextlib.asynccontextmanager
async def _grpc_front(models: Models, desk: Desk, flags: Flags) -> AsyncIterator[None]:
    server = make_grpc_server(models, desk, flags.enable_serialization_as_tensor_content)
    try:
        server.add_insecure_port(f"{HOST}:{flags.port}")
    except RuntimeError as error:
        raise _port_taken(flags.port) from error
    await server.start()
    log.info("gRPC at %s:%d", HOST, flags.port)
    try:
        yield
    finally:
        await server.stop(GRACE_SECONDS)


@contextlib.asynccontextmanager
async def _rest_front(models: Models, desk: Desk, flags: Flags) -> AsyncIterator[None]:
    timeout = flags.rest_api_timeout_in_ms / 1000 if flags.rest_api_timeout_in_ms > 0 else None
    server = HttpServer(
        uvicorn.Config(
            RestFront(models, desk, timeout),
            http="httptools",
            ws="none",
            lifespan="off",
            access_log=False,
            log_config=None,
            log_level="warning",
            timeout_graceful_shutdown=int(GRACE_SECONDS),
        )
    )
    serving = asyncio.create_task(server.serve([_listen(flags.rest_api_port)]))
    log.info("REST at http://%s:%d/v1/models/%s", HOST, flags.rest_api_port, flags.model_name)
    try:
        yield
    finally:
        server.should_exit = True
        await serving


class HttpServer(uvicorn.Server):
    """uvicorn, with the signals left to us: two fronts stop together."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError as error:
        listener.close()
        raise _port_taken(port) from error
    listener.setblocking(False)
    return listener


def _port_taken(port: int) -> StatusError:
    return StatusError(StatusCode.UNAVAILABLE, f"Port {port} on {HOST} is taken")
