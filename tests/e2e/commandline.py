"""The command line as people use it: a process, two folders, a terminal's text."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
from filelock import FileLock

from pipelines.facts import RunReport
from pipelines.settings import PROJECT
from serving.records import RunningServer

PATIENCE_SECONDS = 600
"""For anything that works; a deadline, never a measurement."""

COME_TO_AN_END_SECONDS = 30
"""For a command that was told to stop."""


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    code: int
    text: str

    def said(self, *words: str) -> Done:
        """Itself, after its text was found to hold every one of these."""
        for word in words:
            assert word in self.text, f"{word!r} is not in:\n{self.text}"
        return self

    def succeeded(self) -> Done:
        assert self.code == 0, self.text
        return self

    def failed_with(self, error: str, *words: str) -> Done:
        """Exit code 1 and one message, which names the error and says these words."""
        assert self.code == 1, self.text
        assert "Traceback" not in self.text, self.text
        assert self.text.count(f"{error}: ") == 1, self.text
        return self.said(*words)


class Started:
    """A command that runs, its output going to a file."""

    def __init__(self, process: subprocess.Popen[bytes], output: Path) -> None:
        self._process = process
        self._output = output

    @property
    def text(self) -> str:
        return self._output.read_text(errors="replace")

    def wait_for(self, *words: str) -> None:
        """Wait until it has said all of these."""
        self.wait_until(lambda: all(word in self.text for word in words), " and ".join(words))

    def wait_until(self, happened: Callable[[], bool], what: str) -> None:
        """Wait for something that it does; an end before that is a failure."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not happened():
            ended = self._process.poll() is not None
            assert not ended or happened(), f"It ended without {what}:\n{self.text}"
            assert time.monotonic() < deadline, f"No {what} within the deadline:\n{self.text}"
            time.sleep(0.02)

    def kill(self) -> None:
        """SIGKILL to the command alone: what it started is on its own."""
        self._process.kill()
        self._process.wait()

    def stop(self, number: signal.Signals) -> Done:
        """Ctrl-C reaches the whole foreground group, as a terminal sends it; SIGTERM the command alone."""
        if number is signal.SIGINT:
            os.killpg(self._process.pid, number)
        else:
            self._process.send_signal(number)
        return self.end(COME_TO_AN_END_SECONDS)

    def end(self, seconds: float = PATIENCE_SECONDS) -> Done:
        try:
            return Done(self._process.wait(seconds), self.text)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise AssertionError(f"Still running after {seconds} s:\n{self.text}") from None


@dataclass(frozen=True)
class Place:
    """An artifacts folder and a state folder, and the commands run on them.

    Attributes:
        home: holds both; its path is short, for Unix sockets live below it.
        environment: settings of all commands here, beside the two folders.
    """

    home: Path
    environment: dict[str, str]

    @property
    def lock(self) -> FileLock:
        """Held while something is made here; the tests of another process may want a copy."""
        return FileLock(self.home / "lock")

    @property
    def artifacts(self) -> Path:
        return self.home / "a"

    @property
    def state(self) -> Path:
        return self.home / "s"

    def run(self, *arguments: str, **environment: str) -> Done:
        """``python -m pipelines <arguments>``, to its end."""
        return self.start(*arguments, **environment).end()

    def start(self, *arguments: str, **environment: str) -> Started:
        return self.start_command([sys.executable, "-m", "pipelines", *arguments], **environment)

    def start_command(
        self, command: list[str], folder: Path = PROJECT, **environment: str
    ) -> Started:
        output = self.home / f"output-{time.monotonic_ns()}"
        with output.open("wb") as stream:
            process = subprocess.Popen(
                command,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                env=self.variables(**environment),
                start_new_session=True,
            )
        return Started(process, output)

    def variables(self, **environment: str) -> dict[str, str]:
        ours = {
            "TWINSERVE_ARTIFACTS": str(self.artifacts),
            "TWINSERVE_STATE": str(self.state),
            "TWINSERVE_LAUNCHER": "process",
        }
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("TWINSERVE_", "PREFECT_", "PYTEST_"))
        }
        return {**inherited, **ours, "COLUMNS": "400", **self.environment, **environment}

    # ---- what a command leaves ----

    def processes(self) -> list[psutil.Process]:
        """Everything that any command here has started and that still runs, whoever its parent is now."""
        return [process for process in psutil.process_iter() if self._is_ours(process)]

    def wait_for_quiet(self) -> None:
        """Wait until nothing of ours runs.

        Raises:
            AssertionError: something still runs after the time that a stop may take.
        """
        deadline = time.monotonic() + COME_TO_AN_END_SECONDS
        while left := self.processes():
            assert time.monotonic() < deadline, [_told(process) for process in left]
            time.sleep(0.1)

    def servers(self) -> list[RunningServer]:
        """Records of model servers that are alive."""
        records = RunningServer.read_all(self.state / "servers")
        return [record for record in records if record.is_running() and "case" in record.tags]

    def half_written(self) -> list[Path]:
        return [*self.artifacts.rglob(".partial-*"), *self.artifacts.rglob("*.tmp")]

    def report(self, case: str = "digits", version: int = 1) -> RunReport:
        path = self.artifacts / case / str(version) / "report" / "report.json"
        return RunReport.model_validate_json(path.read_text())

    def made(self, *parts: str) -> dict[str, tuple[int, int]]:
        """Inode and time of change of every file below these parts of the artifacts folder."""
        files = [file for part in parts for file in self.artifacts.glob(f"{part}/**/*")]
        found = {str(f): f.stat() for f in files if f.is_file()}
        return {name: (seen.st_ino, seen.st_mtime_ns) for name, seen in found.items()}

    def end_all(self) -> None:
        """Kill what is left, so that a failed test disturbs no other."""
        for process in self.processes():
            with suppress(psutil.NoSuchProcess):
                process.kill()

    def _is_ours(self, process: psutil.Process) -> bool:
        # By what it inherited or was told; a process that has ended shows neither.
        with suppress(psutil.Error, OSError):
            if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
                return False
            if process.environ().get("TWINSERVE_STATE") == str(self.state):
                return True
            return any(str(self.home) in word for word in process.cmdline())
        return False


def copy_of(place: Place, home: Path) -> Place:
    """The same artifacts in a place of their own, with a state of its own."""
    copied = Place(home, dict(place.environment))
    with place.lock:
        shutil.copytree(place.artifacts, copied.artifacts, symlinks=True)
    return copied


def _told(process: psutil.Process) -> str:
    with suppress(psutil.Error):
        return f"{process.pid} {' '.join(process.cmdline())[:300]}"
    return str(process.pid)
