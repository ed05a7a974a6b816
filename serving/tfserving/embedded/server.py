"""Ports, signals, start and stop."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import uvicorn
import uvloop

from serving.tfserving.embedded.listening import bind_grpc, bracketed, listen
from serving.tfserving.embedded.metrics import Metrics
from serving.tfserving.embedded.options.flags import Flags
from serving.tfserving.embedded.options.monitoring import read_metrics_path
from serving.tfserving.embedded.options.platforms import read_platforms
from serving.tfserving.embedded.options.tls import read_server_credentials
from serving.tfserving.embedded.requests.predict import Desk
from serving.tfserving.embedded.rest.front import RestFront
from serving.tfserving.embedded.rest.protocol import make_protocol
from serving.tfserving.embedded.rpc.front import make_grpc_server
from serving.tfserving.embedded.rpc.server import GrpcServer
from serving.tfserving.embedded.server_core import ServerCore
from serving.tfserving.embedded.versions.loading import counting_loader
from serving.tfserving.embedded.versions.models import Models

GRACE_SECONDS = 5.0
"""How long requests in progress may take to finish when the server is stopped."""

IDLE_SECONDS = 3600
"""How long a REST connection may be silent between requests; TF Serving never closes it."""

COLLECT_AFTER = 100_000
"""New containers, less those freed, after which the youngest are looked through; Python's own is 700."""

_SAME_PORT = (
    "server_options.http_port cannot be same as grpc_port. "
    "Please use a different port for HTTP/REST API. Skipped exporting HTTP/REST API."
)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Parts:
    """What both fronts need.

    Attributes:
        flags: the command line.
        models: what is served.
        core: takes other configurations.
        metrics: what is counted.
        metrics_path: where the REST port shows that; None shows it nowhere.
        desk: where requests are worked on.
    """

    flags: Flags
    models: Models
    core: ServerCore
    metrics: Metrics
    metrics_path: str | None
    desk: Desk


def run(flags: Flags) -> None:
    """Load the models, answer until SIGTERM or SIGINT, finish what is in progress, return.

    Ends the process itself where a version is just being loaded and that takes too long.

    Raises:
        StatusError: a model cannot be loaded, a file of settings cannot be read, or a port is taken.
        SystemExit: a signal came before the ports were open.
    """
    metrics_path = read_metrics_path(flags)
    models, metrics = Models(), Metrics()
    platforms = read_platforms(flags)
    load = counting_loader(flags, platforms, metrics)
    core = ServerCore(flags, models, load, platforms)
    try:
        core.start()
        _spare_the_collector()
        uvloop.run(_serve(Parts(flags, models, core, metrics, metrics_path, Desk())))
    except SystemExit:
        _stop(core)
        raise
    _stop(core)
    models.close()


def _spare_the_collector() -> None:
    """Keep Python's cycle collector from walking over TensorFlow's modules at every large request.

    JSON's lists are many objects and no cycles. Frozen, what was imported is not looked at again; with a
    higher threshold a body of numbers sets off few collections instead of hundreds.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER, *gc.get_threshold()[1:])


def _stop(core: ServerCore) -> None:
    if not core.stop(GRACE_SECONDS):
        log.warning("A version is still being loaded; it is given up")
        logging.shutdown()
        os._exit(0)  # TensorFlow must not be taken down under the thread that is in it


async def _serve(parts: Parts) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with contextlib.AsyncExitStack() as fronts:
        grpc_server = await fronts.enter_async_context(_grpc_front(parts))
        if parts.flags.rest_api_port and parts.flags.rest_api_port == parts.flags.port:
            log.error(_SAME_PORT)
        elif parts.flags.rest_api_port:
            await fronts.enter_async_context(_rest_front(parts))
        await stop.wait()
        log.info("Stopping: no new requests; those in progress are finished")
        stopping = asyncio.create_task(grpc_server.stop(GRACE_SECONDS))  # while REST stops
    await stopping
    parts.desk.close()


@contextlib.asynccontextmanager
async def _grpc_front(parts: Parts) -> AsyncIterator[GrpcServer]:
    flags = parts.flags
    server = make_grpc_server(
        parts.models,
        parts.desk,
        parts.metrics,
        flags,
        parts.core,
    )
    credentials = read_server_credentials(flags.ssl_config_file, flags.use_alts_credentials)
    addresses = bind_grpc(server, flags, credentials)
    server.start()
    log.info("gRPC at %s", " and ".join(addresses))
    try:
        yield server
    finally:
        await server.stop(GRACE_SECONDS)


@contextlib.asynccontextmanager
async def _rest_front(parts: Parts) -> AsyncIterator[None]:
    flags = parts.flags
    server = HttpServer(
        uvicorn.Config(
            RestFront(parts.models, parts.desk, parts.metrics, parts.metrics_path, flags),
            http=make_protocol(),
            proxy_headers=False,
            ws="none",
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            log_level="warning",
            timeout_keep_alive=IDLE_SECONDS,
            timeout_graceful_shutdown=int(GRACE_SECONDS),
        )
    )
    listener = listen(flags.bind_address, flags.rest_api_port)
    serving = asyncio.create_task(server.serve([listener]))
    at = f"http://{bracketed(flags.bind_address)}:{flags.rest_api_port}"
    log.info("REST at %s/v1/models/%s", at, "" if flags.model_config_file else flags.model_name)
    if parts.metrics_path is not None:
        log.info("Metrics at %s%s", at, parts.metrics_path)
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
