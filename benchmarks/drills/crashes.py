"""Drills on a running pair: killed, without its worker, paused, stopped."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import psutil

from benchmarks.drills.asking import REQUEST_SECONDS, Asking
from benchmarks.drills.facts import DrillFacts
from benchmarks.drills.stage import Stage
from models.contract import Tensors
from models.errors import ServerDied
from serving.container import ContainerServer
from serving.engine import connect
from serving.server import Server

RECOVERY_SECONDS = 90.0
SLACK_SECONDS = 2.0
"""What a client may take beyond its deadline on a busy machine."""

GONE_SECONDS = 10.0
ENOUGH_THREADS = 3
"""Of each endpoint's client, so that the worker is at work when it is killed."""

WORKER = "model_service_worker"


def kill_server(stage: Stage, name: str) -> DrillFacts:
    """SIGKILL from the host to the container's first process.

    ``docker kill`` would be a stop on purpose, after which the engine starts nothing again.
    """
    facts = DrillFacts(
        name=f"kill-{name}",
        server=stage.labels[name],
        done="kill -9 of the container's main process while clients ask over both protocols.",
        should="Requests fail until the engine has started it again, with its restart policy; "
        "the same clients then get right answers.",
    )
    server = stage.server(name)
    before = _inspected(server)
    with stage.asking(name) as asking:
        facts = _killed(asking, facts, int(before["State"]["Pid"]))
    if _inspected(server)["State"]["StartedAt"] == before["State"]["StartedAt"]:
        facts = facts.with_problem("the engine did not start it again")
    if not asking.failed:
        facts = facts.with_problem("no request failed: it was not killed")
    return _with_counts(stage, facts, asking)


def kill_worker(stage: Stage) -> DrillFacts:
    """SIGKILL to TorchServe's Python worker alone."""
    facts = DrillFacts(
        name="kill-worker",
        server=stage.labels["torchserve"],
        done="kill -9 of TorchServe's Python worker alone while clients ask over both protocols.",
        should="TorchServe starts another worker; the container is not started again.",
    )
    server = stage.server("torchserve")
    before = _inspected(server)
    with stage.asking("torchserve", threads=ENOUGH_THREADS) as asking:
        facts = _killed(asking, facts, _worker_of(server))
    if _inspected(server)["State"]["StartedAt"] != before["State"]["StartedAt"]:
        facts = facts.with_problem("the whole container was started again")
    return _with_counts(stage, facts, asking)


def pause_server(
    stage: Stage, name: str, expected: Mapping[str, Tensors] | None = None
) -> DrillFacts:
    """Freeze a container with everything in it, as a machine out of breath would.

    Args:
        stage: where.
        name: ``tfserving`` or ``torchserve``.
        expected: other answers than those of the model in memory.
    """
    facts = DrillFacts(
        name=f"pause-{name}",
        server=stage.labels[name],
        done=f"The container was paused while clients with a deadline of {REQUEST_SECONDS:.0f} s "
        "ask over both protocols; then unpaused.",
        should="Every request ends within its deadline with Unreachable, none hangs.",
    )
    problems = []
    with stage.asking(name, expected=expected) as asking:
        paused_at = time.monotonic()
        _container(stage.server(name), lambda container: container.pause())
        try:
            if not asking.wait_failed(paused_at, 2 * REQUEST_SECONDS + SLACK_SECONDS):
                problems.append("a request neither failed nor was answered: it hangs")
            seen = asking.first_failures(paused_at)
        finally:
            _container(stage.server(name), lambda container: container.unpause())
        resumed_at = time.monotonic()
        recovered = asking.wait_right(resumed_at, RECOVERY_SECONDS)
    if asking.longest_failure_seconds > REQUEST_SECONDS + SLACK_SECONDS:
        problems.append(f"a request took {asking.longest_failure_seconds:.1f} s to fail")
    if others := asking.failure_kinds() - {"Unreachable"}:
        problems.append(f"requests failed with {', '.join(sorted(others))}")
    if recovered is None:
        problems.append("no right answer after it was unpaused")
    seconds = None if recovered is None else recovered - resumed_at
    found = replace(facts, seen=seen, recovered_seconds=seconds, problems=tuple(problems))
    return _with_counts(stage, found, asking)


def stop_pair(stage: Stage) -> DrillFacts:
    """The user's clean-up after all of this."""
    stage.pair()
    ended = stage.run("stop")
    stage.end_pair()
    facts = DrillFacts(
        name="stop",
        server=stage.both,
        done="`stop`, after the other drills on the pair.",
        should="Both containers and their records are gone.",
        seen=ended.text.strip(),
        orphans=stage.orphans(),
    )
    return facts if ended.code == 0 else facts.with_problem(f"exit code {ended.code}")


def _killed(asking: Asking, facts: DrillFacts, pid: int) -> DrillFacts:
    """Kill a process, and wait for right answers to requests that began after its end."""
    killed_at = time.monotonic()
    _kill(pid)
    gone_at = time.monotonic()
    recovered = asking.wait_right(gone_at, RECOVERY_SECONDS)
    facts = replace(
        facts,
        seen=asking.first_failures(killed_at),
        recovered_seconds=None if recovered is None else recovered - killed_at,
    )
    if recovered is None:
        facts = facts.with_problem(f"no right answer within {RECOVERY_SECONDS:.0f} s")
    return facts


def _with_counts(stage: Stage, facts: DrillFacts, asking: Asking) -> DrillFacts:
    return replace(
        facts,
        asked=asking.asked,
        failed=asking.failed,
        wrong=asking.wrong,
        orphans=stage.orphans(),
        problems=(*facts.problems, *asking.problems),
    )


def _kill(pid: int) -> None:
    """
    Raises:
        ServerDied: this user may not, or the engine's processes are on another machine.
    """
    try:
        process = psutil.Process(pid)
        os.kill(pid, signal.SIGKILL)
        process.wait(GONE_SECONDS)
    except (psutil.Error, OSError) as error:
        raise ServerDied(
            f"Process {pid} of the container cannot be killed from here: {error}.",
            "Run the drills as root, on the machine that the engine runs on.",
        ) from error


def _worker_of(server: Server) -> int:
    """The host's id of TorchServe's worker process.

    Raises:
        ServerDied: there is none.
    """
    found = _container(server, lambda container: container.top())
    column = found["Titles"].index("PID")
    for process in found["Processes"] or []:
        if any(WORKER in word for word in process):
            return int(process[column])
    raise ServerDied(f"{server.spec.label} has no worker process.")


def _inspected(server: Server) -> dict[str, Any]:
    attributes: dict[str, Any] = _container(server, lambda container: container.attrs)
    return attributes


def _container(server: Server, use: Callable[[Any], Any]) -> Any:
    """What ``use`` makes of the engine's view of a server."""
    assert isinstance(server, ContainerServer)
    client = connect()
    try:
        return use(client.containers.get(server.id))
    finally:
        client.close()
