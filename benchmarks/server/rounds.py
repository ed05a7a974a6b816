"""One server at a time: start it, hold its first answer against the right one, load it, weigh it, stop it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.server.contestants import HOST, Contestant, Scene, variables
from benchmarks.server.environments import Environment
from benchmarks.server.first_answer import FirstAnswer
from benchmarks.server.load.job import Cell, Job, Seen
from benchmarks.server.subject import Subject
from models.errors import ServerFault
from models.parent import lifeline
from pipelines.settings import PROJECT
from serving.process import ProcessServer, free_ports
from serving.server import ServerSpec

STARTUP_SECONDS = 120.0


@dataclass(frozen=True)
class Stage:
    """What all starts have in common.

    Attributes:
        home: the subjects'.
        environments: by name.
        twin: the digits ``.mar``.
        twin_version: as it stands in the archive.
        records: of running servers, so that `make stop` finds what a killed run has left.
    """

    home: Path
    environments: dict[str, Environment]
    twin: Path
    twin_version: str
    records: Path

    def home_of(self, contestant: Contestant) -> Path:
        """Where its subjects are: the twin's right answers are its own."""
        return self.home / "twin" if contestant.kind == "twin" else self.home


@dataclass(frozen=True)
class Running:
    """A server that has given its first right answer."""

    contestant: Contestant
    subject: Subject
    server: ProcessServer
    ready_seconds: float
    stage: Stage

    def load(self, protocol: str, cells: tuple[Cell, ...]) -> list[Seen]:
        """Let the load client do these cells.

        Raises:
            ServerFault: the client ended with an error or took far too long.
        """
        spec = self.server.spec
        job = Job(
            self.contestant.dialects[protocol],
            spec.host,
            spec.ports["rest" if protocol == "REST" else "grpc"],
            self.subject.name,
            self.stage.home_of(self.contestant),
            self.server.pid,
            cells,
        )
        return run_job(job, spec.workdir / "job.json")


@contextmanager
def running(
    contestant: Contestant, subject_name: str, batching: bool, stage: Stage
) -> Iterator[Running]:
    """A started server; stopped at the end of the block, whatever happens in it.

    Raises:
        ServerError: it does not start, or does not get ready.
    """
    # Unix sockets live below it, so its name is short.
    folder = Path(tempfile.mkdtemp(prefix="bs-"))
    subject = Subject.read(subject_name, stage.home_of(contestant))
    server = ProcessServer(_spec(contestant, subject, batching, stage, folder), stage.records)
    try:
        server.start()
        yield Running(contestant, subject, server, server.wait_ready(), stage)
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def run_job(job: Job, path: Path) -> list[Seen]:
    """The load client, in a process of its own that ends with this one.

    Raises:
        ServerFault: it ended with an error or took far too long.
    """
    job.write(path)
    command = [sys.executable, "-m", "benchmarks.server.load", str(path)]
    with lifeline() as line:
        try:
            done = subprocess.run(
                command,
                cwd=PROJECT,
                stdin=line,
                capture_output=True,
                text=True,
                timeout=job.most_seconds,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise ServerFault(f"The load client took more than {job.most_seconds:.0f} s") from error
    if done.returncode:
        raise ServerFault(f"The load client failed: {done.stderr.strip()[-500:]}")
    return [Seen(**json.loads(line)) for line in done.stdout.splitlines()]


def _spec(
    contestant: Contestant, subject: Subject, batching: bool, stage: Stage, folder: Path
) -> ServerSpec:
    rest, grpc, metrics = free_ports(3, HOST)
    ports = {"rest": rest, "grpc": grpc, "metrics": metrics}
    environment = stage.environments[contestant.environment_name]
    scene = Scene(subject, environment, folder, ports, batching, stage.twin, stage.twin_version)
    dialect = contestant.dialects["REST"]
    return ServerSpec(
        name=contestant.name,
        label=contestant.label,
        command=tuple(contestant.command(scene)),
        workdir=folder,
        ports=ports,
        probe=FirstAnswer(dialect, HOST, rest, subject),
        environment=variables(contestant, scene),
        startup_seconds=STARTUP_SECONDS,
        host=HOST,
    )
