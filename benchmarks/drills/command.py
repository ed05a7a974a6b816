"""``python -m pipelines ...`` as a user starts it, in a process of its own."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from models.errors import ServerNotReady
from pipelines.settings import PROJECT
from serving.process_tree import stop_process_tree

LONGEST_SECONDS = 180.0
STOP_SECONDS = 20.0


@dataclass(frozen=True)
class Ended:
    """A command that has ended.

    Attributes:
        code: its exit code.
        text: all that it printed.
    """

    code: int
    text: str

    @property
    def message(self) -> str:
        """The error at its end with its hint; all of the text where there is none."""
        found = re.search(r"^[A-Z]\w+: .*", self.text, re.DOTALL | re.MULTILINE)
        return (found[0] if found else self.text).strip()


class Command:
    """A command that was started.

    Args:
        arguments: behind ``python -m pipelines``.
        environment: all of its variables.
        output: the file that holds what it prints.
    """

    def __init__(
        self, arguments: Sequence[str], environment: Mapping[str, str], output: Path
    ) -> None:
        self._output = output
        with output.open("wb") as stream:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "pipelines", *arguments],
                cwd=PROJECT,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a terminal's Ctrl-C comes to us, and we stop it
            )

    @property
    def text(self) -> str:
        return self._output.read_text(errors="replace")

    @property
    def runs(self) -> bool:
        return self._process.poll() is None

    def end(self, seconds: float = LONGEST_SECONDS) -> Ended:
        """
        Raises:
            ServerNotReady: it is still running at the deadline; it is stopped.
        """
        try:
            return Ended(self._process.wait(seconds), self.text)
        except subprocess.TimeoutExpired:
            self.stop()
            raise ServerNotReady(
                f"The command still runs after {seconds:.0f} s: {self.text[-300:]}"
            ) from None

    def stop(self) -> None:
        stop_process_tree(self._process.pid, STOP_SECONDS)
        self._process.wait()
