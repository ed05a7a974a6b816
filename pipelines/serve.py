"""Stage: start both servers with one version, and stop what was started."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass, field, replace
from pathlib import Path

import psutil

from models.artifact import Manifest, storage_errors
from models.errors import AlreadyServing, EngineUnavailable, ServerNotReady
from models.parity import compare
from pipelines.facts import Check
from pipelines.launcher import Launch, choose_launcher
from pipelines.reference import Reference
from pipelines.settings import Settings
from pipelines.skew import judge_versions
from pipelines.workspace import Workspace, log
from serving.batching import ServerBatching
from serving.container import remove_labelled
from serving.endpoints import endpoints_of
from serving.engine import engine_answers
from serving.publish import model_store, publish_version, saved_model_folder
from serving.records import RunningServer
from serving.server import Server, ServerSpec
from serving.starting import LoadWatch, StartSeconds
from serving.tfserving.contained import tfserving_container_spec
from serving.tfserving.spec import tfserving_spec
from serving.torchserve.contained import torchserve_container_spec
from serving.torchserve.spec import torchserve_spec

OWNER, OWNER_CREATED, KEEP = "owner", "owner_created", "keep"
"""Tags of a record: the process that must be alive, or that the server is meant to outlive it."""

RESTARTS = 5
"""How often the engine may start a container again that is left running and fails."""

Which = Callable[[Mapping[str, str]], bool]
"""Told a server's tags, says whether it is meant."""


def server_specs(
    space: Workspace,
    manifest: Manifest,
    home: Path,
    launch: Launch,
    keep: bool = False,
    folder: Path | None = None,
    batching: ServerBatching | None = None,
) -> list[ServerSpec]:
    """What to run for one version: its SavedModel and its model archive, published into ``home``.

    Args:
        space: the case.
        manifest: the version.
        home: the servers' folder.
        launch: as processes, or as containers of which images.
        keep: whether they are left running, so that versions can be exchanged while they run.
        folder: what the manifest lists; the version's own for None.
        batching: of both servers, as processes; None leaves it as they have it.

    Raises:
        ArtifactMissing, ArtifactCorrupt: an artifact is not what the manifest says.
        ServerMissing: a server's program is not installed.
    """
    name = space.case.name
    folder = folder or space.version_folder(manifest.version)
    publish_version(folder, manifest, name, home)
    repository, store = saved_model_folder(home, name), model_store(home)
    settings = space.settings
    tf_ports = _chosen(rest=settings.tfserving_rest_port, grpc=settings.tfserving_grpc_port)
    torch_ports = _chosen(rest=settings.torchserve_rest_port, grpc=settings.torchserve_grpc_port)
    if launch.images is None:
        specs = (
            tfserving_spec(name, repository, home / "tfserving", tf_ports, batching),
            torchserve_spec(
                name, store, home / "torchserve", torch_ports, model_api=keep, batching=batching
            ),
        )
    else:
        memory, cpus = settings.container_memory_mb * 2**20, settings.container_cpus
        tf_image, torch_image = launch.images
        specs = (
            tfserving_container_spec(
                name,
                repository.parent,
                home / "tfserving",
                tf_image.name,
                tf_image.label,
                tf_ports,
                memory_bytes=memory,
                cpus=cpus,
            ),
            torchserve_container_spec(
                name,
                store,
                home / "torchserve",
                torch_image.name,
                torch_image.label,
                torch_ports,
                model_api=keep,
                memory_bytes=memory,
                cpus=cpus,
            ),
        )
    tags = {"case": name, "version": str(manifest.version)}
    return [
        replace(
            spec,
            tags=tags,
            startup_seconds=settings.startup_timeout_seconds,
            contained=spec.contained and replace(spec.contained, restarts=RESTARTS if keep else 0),
        )
        for spec in specs
    ]


@dataclass(frozen=True)
class StartedServers:
    """Servers that have answered correctly.

    Attributes:
        servers: TF Serving's API, then TorchServe.
        ready_seconds: by server name, from start to the first correct answer, both starting at once.
        home: their folder.
        skew: whether the versions inside are those that the files were made with.
        starts: by server name, the way to the first correct answer in its parts.
    """

    servers: list[Server]
    ready_seconds: dict[str, float]
    home: Path
    skew: list[Check]
    starts: dict[str, StartSeconds] = field(default_factory=dict)

    def stop(self) -> None:
        """Stop both and remove their folder."""
        _stop(self.servers)
        shutil.rmtree(self.home, ignore_errors=True)


def start_servers(space: Workspace, manifest: Manifest, keep: bool = False) -> StartedServers:
    """Start both servers at once and wait until both have answered a row correctly.

    Args:
        space: the case.
        manifest: the version to serve.
        keep: whether they are meant to outlive this process; else the caller stops them, and if it
            cannot, the next run does.

    Raises:
        ServerError: one did not get ready; both are stopped again.
    """
    launch = choose_launcher(space.settings)
    log.info(launch.why)
    stop_orphans(space.settings.records, launch.in_containers)
    _remove_old_homes(space.settings)
    home = space.settings.state / "run" / f"{space.case.name}-{os.getpid()}"
    with storage_errors(home, "TWINSERVE_STATE"):
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
    specs = [owned(spec, keep) for spec in server_specs(space, manifest, home, launch, keep)]
    servers = [launch.server(spec, space.settings.records) for spec in specs]
    starts: dict[str, StartSeconds] = {}
    skew: dict[str, list[Check]] = {}

    def bring_up(server: Server) -> None:
        name = server.spec.name
        starts[name], skew[name] = start_once(space, manifest, server)
        log.info(f"{server.spec.label} answers correctly after {starts[name].total:.1f} s")

    try:
        with ThreadPoolExecutor(len(servers)) as pool:
            # In a copy of this context, so that what is logged reaches Prefect's task run.
            futures = [pool.submit(copy_context().run, bring_up, server) for server in servers]
            done, _ = wait(futures, return_when=FIRST_EXCEPTION)
            if failed := [future for future in done if future.exception()]:
                with suppress(EngineUnavailable):
                    _stop(servers)  # the other need not be waited for
        for future in [*failed, *futures]:
            future.result()
    except BaseException:
        with suppress(EngineUnavailable):  # what came first says more
            _stop(servers)
        raise
    ready = {name: start.total for name, start in starts.items()}
    return StartedServers(
        servers, ready, home, [check for each in servers for check in skew[each.spec.name]], starts
    )


def start_once(
    space: Workspace, manifest: Manifest, server: Server
) -> tuple[StartSeconds, list[Check]]:
    """Start a server and wait for its first correct answer.

    Returns:
        how long that took, and whether the versions inside fit the files.

    Raises:
        ServerError: it did not get ready, or answers wrongly; it is the caller's to stop.
    """
    began = time.monotonic()
    server.start()
    watch = LoadWatch(server, began)
    try:
        skew = judge_versions(manifest, server)
        server.wait_ready()
        can_serve = time.monotonic() - began
    finally:
        loading = watch.end()
    ask_first(space, manifest, server)
    answered = time.monotonic() - began
    return StartSeconds(loading, can_serve - (loading or 0.0), answered - can_serve), skew


def stop_servers(_space: Workspace, servers: StartedServers) -> None:
    """Stop both and remove their folder; a stage, so that its time is counted."""
    servers.stop()


def _stop(servers: list[Server]) -> None:
    """Stop them side by side.

    Raises:
        EngineUnavailable: a container's engine has gone away; the others are stopped all the same.
    """
    with ThreadPoolExecutor(len(servers)) as pool:
        stopping = [pool.submit(server.stop) for server in servers]
    for each in stopping:
        each.result()


def ask_first(space: Workspace, manifest: Manifest, server: Server) -> None:
    """Send one row of the test split and hold the answer against the model in memory.

    Raises:
        ServerNotReady: the answer is wrong.
        RequestError: there is none.
    """
    endpoint = endpoints_of(server.spec)[0]
    reference = Reference.of(space, endpoint.framework, manifest)
    case, row = space.case, slice(0, 1)
    with endpoint.connect(
        case.name, case.contract, space.settings.request_timeout_seconds
    ) as client:
        answer = client.predict(reference.split.rows(row).inputs)
    wanted = {name: rows[row] for name, rows in reference.test.items()}
    parity = compare(case.contract, wanted, answer, case.tolerances.float32)
    if not parity.passed:
        raise ServerNotReady(
            f"{endpoint.title} answers its first request wrongly: {parity.worst_output} is off by "
            f"{parity.max_abs:.1e}.",
            "It serves another model than the manifest says.",
        )


def leave_running(space: Workspace, manifest: Manifest) -> StartedServers:
    """Start both servers to outlive this process.

    Raises:
        AlreadyServing: they were left running before.
        ServerError: one did not get ready.
    """
    before = left_running(space)
    if before:
        raise AlreadyServing(
            f"Version {before[0].tags['version']} of {space.case.name!r} is already being served.",
            "`make query` asks it, `make stop` ends it.",
        )
    return start_servers(space, manifest, keep=True)


def left_running(space: Workspace) -> list[RunningServer]:
    """The servers of this case that ``leave_running`` started and that are alive, sorted by name."""
    found = [
        record
        for record in RunningServer.read_all(space.settings.records)
        if KEEP in record.tags and record.tags["case"] == space.case.name and record.is_running()
    ]
    return sorted(found, key=lambda record: record.name)


def stop_orphans(records: Path, containers: bool = False) -> list[str]:
    """Stop servers whose owner has died without stopping them; what they were, for people.

    Args:
        records: the folder of records.
        containers: also look for containers by their labels: a run that was killed between making
            one and writing its record left none.

    Raises:
        EngineUnavailable: one is a container, and the engine does not answer.
    """
    return _stop_ours(records, lambda tags: KEEP not in tags and not _owner_lives(tags), containers)


def stop_all(records: Path) -> list[str]:
    """Stop every server of ours that no living run needs; what they were, for people.

    Raises:
        EngineUnavailable: one is a container, and the engine does not answer.
    """
    return _stop_ours(
        records, lambda tags: KEEP in tags or not _owner_lives(tags), engine_answers()
    )


def _stop_ours(records: Path, which: Which, containers: bool) -> list[str]:
    chosen = [record for record in RunningServer.read_all(records) if which(record.tags)]
    stopped = [record for record in chosen if record.stop(records)]
    for home in {Path(record.workdir).parent for record in chosen}:
        shutil.rmtree(home, ignore_errors=True)
    unrecorded = remove_labelled(records, which) if containers else []
    return [f"{record.label} ({record.identity})" for record in stopped] + unrecorded


def _remove_old_homes(settings: Settings) -> None:
    """Folders of servers that did not start keep their logs until the next run: until now."""
    used = {str(Path(record.workdir).parent) for record in RunningServer.read_all(settings.records)}
    for home in (settings.state.resolve() / "run").glob("*-*"):
        owner = home.name.rpartition("-")[2]
        if owner.isdigit() and not psutil.pid_exists(int(owner)) and str(home) not in used:
            shutil.rmtree(home, ignore_errors=True)


def _chosen(**ports: int) -> dict[str, int]:
    """The ports that were set; the others are found free."""
    return {purpose: port for purpose, port in ports.items() if port}


def owned(spec: ServerSpec, keep: bool = False) -> ServerSpec:
    """The spec with a record of who must live for its server to live, or that nobody must."""
    me = psutil.Process()
    more = {KEEP: "yes"} if keep else {OWNER: str(me.pid), OWNER_CREATED: str(me.create_time())}
    return replace(spec, tags={**spec.tags, **more})


def _owner_lives(tags: Mapping[str, str]) -> bool:
    try:
        owner = psutil.Process(int(tags[OWNER]))
        return abs(owner.create_time() - float(tags[OWNER_CREATED])) < 1.0
    except (KeyError, ValueError, psutil.NoSuchProcess):
        return False
