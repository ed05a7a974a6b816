"""Two processes that take turns: what one measures is not disturbed by the other, and noise hits both alike.

Each says in a file of its own how many of its rounds it has done. The first one begins when all are ready.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from models.artifact import write_text
from models.errors import WorkerError

POLL_SECONDS = 0.002
OVER = "over"


@dataclass(frozen=True)
class Turns:
    """One process's place among those that take turns.

    Attributes:
        folder: shared by all of them; exists.
        names: all of them, in the order of their turns.
        me: this one.
        timeout_seconds: how long a turn is waited for.
    """

    folder: Path
    names: Sequence[str]
    me: str
    timeout_seconds: float = 1800.0

    def ready(self) -> None:
        """I have nothing left to do that would disturb the others' rounds."""
        write_text(self.folder / self.me, "0")

    def wait(self, number: int) -> None:
        """Wait until those before me have done round ``number`` (from 0), those behind me the one before, and
        all are ready.

        Raises:
            WorkerError: that takes too long.
        """
        deadline = time.monotonic() + self.timeout_seconds
        mine = self.names.index(self.me)
        for place, other in enumerate(self.names):
            wanted = number + 1 if place < mine else number
            while other != self.me and self._done(other) < wanted:
                if time.monotonic() > deadline:
                    raise WorkerError(
                        f"{other} did not take its turn within {self.timeout_seconds:.0f} s."
                    )
                time.sleep(POLL_SECONDS)

    def done(self, number: int) -> None:
        """My round ``number`` (from 0) is done."""
        write_text(self.folder / self.me, str(number + 1))

    def end(self) -> None:
        """Nobody needs to wait for me any more; said by the parent, too, when my process has ended."""
        write_text(self.folder / self.me, OVER)

    def _done(self, name: str) -> float:
        path = self.folder / name
        text = path.read_text() if path.exists() else "-1"
        return float("inf") if text == OVER else int(text)
