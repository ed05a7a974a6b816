"""A folder of its own in which drills happen: artifacts, state, commands, and a pair that is served."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks.drills.asking import Asking
from benchmarks.drills.command import Command, Ended
from benchmarks.drills.leftovers import containers_of, leftovers
from models.artifact import Manifest
from models.contract import Tensors
from models.errors import TwinServeError
from models.formats import Format
from pipelines.launcher import choose_launcher
from pipelines.reference import Reference
from pipelines.serve import StartedServers, leave_running, stop_all
from pipelines.settings import PROJECT, Settings
from pipelines.workspace import Workspace
from serving.endpoints import FRAMEWORK_OF
from serving.server import Server

ROWS = slice(0, 64)
OF_NO_PORT = {
    f"{server}_{protocol}_port": 0
    for server in ("tfserving", "torchserve")
    for protocol in ("rest", "grpc")
}
"""Free ports: a pair and a command run side by side."""


@dataclass
class Stage:
    """Where drills happen; nothing of the user's own state is used or touched.

    Attributes:
        home: artifacts in ``a``, state in ``s``.
        space: the case, with settings that run containers.
        manifest: the version that is served.
        labels: by server, what exactly runs, for people.
    """

    home: Path
    space: Workspace
    manifest: Manifest
    labels: Mapping[str, str]
    _started: StartedServers | None = None
    _commands: list[Command] = field(default_factory=list)

    @property
    def records(self) -> Path:
        return self.space.settings.records

    @property
    def both(self) -> str:
        return " and ".join(self.labels.values())

    # ---- the pair ----

    def pair(self) -> StartedServers:
        """Both servers, left running as ``make serve`` does; started when they are first asked for.

        Raises:
            ServerError: one does not get ready.
        """
        if self._started is None:
            self._started = leave_running(self.space, self.manifest)
        return self._started

    def server(self, name: str) -> Server:
        """One of the pair: ``tfserving`` or ``torchserve``."""
        return next(each for each in self.pair().servers if each.spec.name == name)

    def end_pair(self) -> None:
        """Stop it, if it runs."""
        if self._started is not None:
            self._started.stop()
            self._started = None

    def asking(
        self, *names: str, expected: Mapping[str, Tensors] | None = None, threads: int = 1
    ) -> Asking:
        """Clients for these servers of the pair.

        Args:
            names: ``tfserving``, ``torchserve``.
            expected: other answers than those of the model in memory.
            threads: how many ask each endpoint, through one client.
        """
        specs = [self.server(name).spec for name in names]
        return Asking(self.space, specs, self.rows(), expected or self.expected(), threads)

    def rows(self) -> Tensors:
        """Rows of the test split."""
        reference = Reference.of(self.space, "tensorflow", self.manifest)
        return reference.split.rows(ROWS).inputs

    def expected(self) -> dict[str, Tensors]:
        """By server, what the model in memory answers to these rows."""
        return {
            server: {
                name: held[ROWS]
                for name, held in Reference.of(self.space, framework, self.manifest).test.items()
            }
            for server, framework in FRAMEWORK_OF.items()
        }

    # ---- commands ----

    def run(self, *arguments: str, **environment: str) -> Ended:
        """``python -m pipelines <arguments>`` to its end, with these variables.

        Raises:
            ServerNotReady: it does not come to its end.
        """
        return self.start(*arguments, **environment).end()

    def start(self, *arguments: str, **environment: str) -> Command:
        output = self.home / f"output-{len(self._commands)}"
        self._commands.append(Command(arguments, {**self._environment(), **environment}, output))
        return self._commands[-1]

    def check(self, **environment: str) -> Ended:
        """The command ``check`` on the good version."""
        return self.run(*self.check_words, **environment)

    @property
    def check_words(self) -> tuple[str, ...]:
        return ("check", "--case", self.space.case.name, "--version", str(self.manifest.version))

    def _environment(self) -> dict[str, str]:
        fixed = dict.fromkeys(OF_NO_PORT, "0") | {
            "artifacts": str(self.space.settings.artifacts),
            "state": str(self.space.settings.state),
            "launcher": "docker",
        }
        return {
            **os.environ,
            **{f"TWINSERVE_{name.upper()}": value for name, value in fixed.items()},
            "COLUMNS": "200",
        }

    # ---- what is left ----

    def orphans(self) -> tuple[str, ...]:
        """Containers, records and processes of this stage that belong to nothing that is meant to run."""
        return leftovers(
            self.home, self.space.settings.state, self.records, self._pair_containers()
        )

    def containers(self) -> list[str]:
        """Names of the running servers that are not the pair's."""
        return [
            name
            for name, status in containers_of(self.records)
            if status == "running" and name not in self._pair_containers()
        ]

    def _pair_containers(self) -> set[str]:
        return {each.spec.container for each in self._started.servers} if self._started else set()

    def plain(self, text: str) -> str:
        """A text without this machine's folders, for a page that is kept."""
        places = {
            self.space.settings.artifacts: "<artifacts>",
            self.space.settings.state: "<state>",
            self.home: "<home>",
            PROJECT: "<project>",
        }
        for place, word in places.items():
            text = text.replace(str(place), word)
        return text

    def close(self) -> None:
        """Stop every command and every server of this stage."""
        for command in self._commands:
            if command.runs:
                command.stop()
        with suppress(TwinServeError):
            self.end_pair()
        stop_all(self.records)


@contextmanager
def open_stage(case: str, settings: Settings) -> Iterator[Stage]:
    """A stage on the latest version of a case; everything on it is stopped and removed at the end.

    Args:
        case: its name.
        settings: whose artifacts are used; none of them is changed.

    Raises:
        UnknownCase, ArtifactMissing: there is no such case, or no version of it.
        EngineUnavailable, ImageMissing: there are no containers to be had.
    """
    manifest = Workspace.open(case, settings).manifest()
    images = choose_launcher(settings.model_copy(update={"launcher": "docker"})).images
    assert images is not None  # it would have raised
    labels = {"tfserving": images[0].label, "torchserve": images[1].label}
    home = Path(tempfile.mkdtemp(prefix="ts-")).resolve()  # short: Unix sockets live below it
    own = {"artifacts": home / "a", "state": home / "s", "launcher": "docker", **OF_NO_PORT}
    space = Workspace.open(case, settings.model_copy(update=own))
    stage = Stage(home, space, manifest, labels)
    try:
        _borrow(Workspace.open(case, settings), stage)
        yield stage
    finally:
        try:
            stage.close()
        finally:
            shutil.rmtree(home, ignore_errors=True)


def _borrow(original: Workspace, stage: Stage) -> None:
    """The good version with what it came from, and a damaged one with the number after it."""
    source, target = original.home, stage.space.home
    target.mkdir(parents=True)
    for name in ("data", "training"):
        (target / name).symlink_to((source / name).resolve())
    number = stage.manifest.version
    for version in (number, number + 1):
        shutil.copytree(source / str(number), target / str(version))
    damaged = target / str(number + 1)
    replace(stage.manifest, version=number + 1).write(damaged)
    for kind in (Format.SAVED_MODEL, Format.MAR):
        path = damaged / stage.manifest.artifact(kind).path
        cut_in_half(path / "saved_model.pb" if path.is_dir() else path)


def cut_in_half(file: Path) -> None:
    """What a broken copy leaves."""
    with file.open("r+b") as stream:
        stream.truncate(file.stat().st_size // 2)
