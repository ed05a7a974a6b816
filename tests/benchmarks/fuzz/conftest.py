"""A server that is right, and fakes that are wrong in one way each."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from benchmarks.fuzz.good import half_requests
from benchmarks.fuzz.subject import PROJECT, Subject, running_subject
from serving.process import ProcessServer, free_ports
from serving.server import Probe, Readiness, ServerSpec

FAKE = Path(__file__).with_name("fake_server.py")


@pytest.fixture(scope="session")
def subject() -> Iterator[Subject]:
    """The embedded server with its four models."""
    with running_subject() as running:
        yield running


MakeFake = Callable[[str], Subject]


@pytest.fixture
def make_fake(tmp_path: Path) -> Iterator[MakeFake]:
    """``make_fake("hang")``: a running fake; see its modes."""
    started = []

    def make(mode: str) -> Subject:
        rest, rpc = free_ports(2)
        command = (sys.executable, str(FAKE), mode, str(rest), str(rpc))
        spec = ServerSpec(
            name="fake",
            label=f"the fake that is {mode}",
            command=command,
            workdir=tmp_path / mode,
            ports={"rest": rest, "grpc": rpc},
            probe=lambda: probe(rest),
            environment={"PYTHONPATH": str(PROJECT)},
        )
        server = ProcessServer(spec)
        started.append(server)
        server.start()
        server.wait_ready(60)
        return Subject(server, half_requests())

    yield make
    for server in started:
        server.stop()


def probe(port: int) -> Probe:
    try:
        httpx.get(f"http://127.0.0.1:{port}/", trust_env=False)
    except httpx.HTTPError as error:
        return Probe(Readiness.NOT_YET, str(error))
    return Probe(Readiness.READY)
