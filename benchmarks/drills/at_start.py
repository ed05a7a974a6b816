"""Drills on a command: what it meets when it starts its servers, and what it leaves."""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.drills.command import Command, Ended
from benchmarks.drills.facts import DrillFacts
from benchmarks.drills.relay import Relay
from benchmarks.drills.stage import Stage
from models.errors import ServerNotReady, TwinServeError
from serving.engine import connect, engine_errors

if TYPE_CHECKING:
    from docker.models.containers import Container

TINY_MEMORY_MB = 128
"""TorchServe and TensorFlow each need more than this to serve a model."""

MORE_MEMORY = ("tail", "/dev/zero")
"""Waits for the end of a line that has none; every image has it."""

KILLED_FIRST = "1000"
BETWEEN_ATTEMPTS_SECONDS = 1.0
VERSIONS_SECONDS = 3.0
"""A command first asks its servers for their versions; a kill in that moment is another story."""

BOTH_UP_SECONDS = 90.0
POLL_SECONDS = 0.1
NO_SUCH_IMAGE = "twinserve/no-such-image:1"


def kill_for_memory(stage: Stage) -> DrillFacts:
    """The kernel kills what needs more memory than its container may have.

    Left to itself, a server that is short of memory may also never end: the kernel takes back the
    pages of its program, and it reads them again, and again. So a second program in the container
    asks for more, until the kernel has to kill.
    """
    facts = DrillFacts(
        name="oom",
        server=stage.both,
        done=f"`check` with a memory limit of {TINY_MEMORY_MB} MiB for each container, and in each a "
        "second program that asks for memory until the kernel kills.",
        should="One message that says what was short, and how much it had.",
    )
    command = stage.start(
        *stage.check_words,
        TWINSERVE_CONTAINER_MEMORY_MB=str(TINY_MEMORY_MB),
        TWINSERVE_STARTUP_TIMEOUT_SECONDS=str(BOTH_UP_SECONDS),
    )
    client = connect()
    try:
        _wait_for_servers(stage, command)
        time.sleep(VERSIONS_SECONDS)
        while command.runs:  # ends with the command, at its own deadline at the latest
            for name in stage.containers():
                with suppress(TwinServeError), engine_errors(f"{name} is gone"):
                    _run_out_of_memory(client.containers.get(name))
            time.sleep(BETWEEN_ATTEMPTS_SECONDS)
    finally:
        client.close()
    words = ("ServerDied", "lack of memory", f"{TINY_MEMORY_MB} MiB")
    return _judged(stage, facts, command.end(), *words)


def _run_out_of_memory(container: Container) -> None:
    """Ask for all that is left in a container, where the server is what the kernel takes first."""
    processes = container.top()
    column = processes["Titles"].index("PID")
    for each in processes["Processes"] or []:  # none in the moment of its end
        if MORE_MEMORY[-1] not in each[-1]:
            with suppress(
                OSError
            ):  # it has ended, or this user may not: then the largest is killed
                Path(f"/proc/{each[column]}/oom_score_adj").write_text(KILLED_FIRST)
    container.exec_run(list(MORE_MEMORY), detach=True)


def take_port(stage: Stage) -> DrillFacts:
    """Somebody else listens where a server is to be published."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        ended = stage.check(TWINSERVE_TFSERVING_REST_PORT=port)
    facts = DrillFacts(
        name="port-taken",
        server=stage.labels["tfserving"],
        done="`check` with a REST port on which another program listens.",
        should="One message that names the port; the other server is stopped again.",
    )
    return _judged(stage, facts, ended, "PortInUse", port)


def name_missing_image(stage: Stage) -> DrillFacts:
    """The image that is asked for is not on this machine."""
    ended = stage.check(TWINSERVE_TORCHSERVE_IMAGE=NO_SUCH_IMAGE)
    facts = DrillFacts(
        name="image-missing",
        server=stage.labels["torchserve"],
        done="`check` with the name of an image that is not there.",
        should="One message that names the image, before anything is started; processes are not "
        "taken instead.",
    )
    return _judged(stage, facts, ended, "ImageMissing", NO_SUCH_IMAGE)


def cut_engine(stage: Stage) -> DrillFacts:
    """The engine goes away while a command has containers running; the next command cleans up."""
    stage.end_pair()  # `stop` below would end it too
    facts = DrillFacts(
        name="engine-away",
        server=stage.both,
        done="The engine's socket went away while `check` had both containers running; then "
        "`stop`, with the engine back.",
        should="One message that names the engine and what to do; the next command finds what is "
        "left and removes it.",
    )
    with Relay(stage.home / "engine.sock") as relay:
        command = stage.start(*stage.check_words, DOCKER_HOST=relay.address)
        _wait_for_servers(stage, command)
        relay.go_away()
        ended = command.end()
    left = len(stage.containers())
    began = time.monotonic()
    stopped = stage.run("stop")
    seconds = time.monotonic() - began
    found = _judged(stage, facts, ended, "EngineUnavailable", "does not answer")
    if not left:
        found = found.with_problem("nothing was left to be cleaned up: the engine went too late")
    seen = f"{found.seen}\n\n`stop`, with the engine back:\n{stopped.text.strip()}"
    return replace(found, seen=seen, recovered_seconds=seconds)


def _wait_for_servers(stage: Stage, command: Command) -> None:
    deadline = time.monotonic() + BOTH_UP_SECONDS
    while len(stage.containers()) < len(stage.labels):
        if not command.runs or time.monotonic() > deadline:
            raise ServerNotReady(f"`check` did not start both containers: {command.text[-300:]}")
        time.sleep(POLL_SECONDS)


def _judged(stage: Stage, facts: DrillFacts, ended: Ended, error: str, *words: str) -> DrillFacts:
    """The facts with the command's message, and what is wrong with it or left of it."""
    problems = []
    if ended.code != 1:
        problems.append(f"exit code {ended.code} instead of 1")
    own_words = ended.text.partition("The end of its log:")[0]
    if "Traceback" in own_words:
        problems.append("a stack trace instead of a message")
    problems += [
        f"the message does not say {word!r}"
        for word in (error, *words)
        if word not in ended.message
    ]
    return replace(facts, seen=ended.message, orphans=stage.orphans(), problems=tuple(problems))
