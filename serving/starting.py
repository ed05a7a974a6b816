"""A server's start, with the moment at which it begins to load the model."""

from __future__ import annotations

import re
import threading
import time
from dataclasses import dataclass

from models.errors import TwinServeError
from serving.server import Server

POLL_SECONDS = 0.02
LOG_LINES = 500


@dataclass(frozen=True)
class StartSeconds:
    """A start in its parts.

    Attributes:
        process: from the start until its log says that it begins to load the model; None where it never said so.
        load: from there until the model can serve; from the start where ``process`` is None.
        first_answer: from there to the first correct answer.
    """

    process: float | None
    load: float
    first_answer: float

    @property
    def total(self) -> float:
        return (self.process or 0.0) + self.load + self.first_answer


class LoadWatch:
    """Reads a started server's log until it says that it begins to load the model.

    Args:
        server: its spec's ``load_begins`` is looked for; an empty one is never found.
        began: ``time.monotonic()`` of its start.
    """

    def __init__(self, server: Server, began: float) -> None:
        self.seconds: float | None = None
        self._server = server
        self._began = began
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def end(self) -> float | None:
        """Stop looking; seconds from the start to that moment."""
        self._over.set()
        self._thread.join()
        return self.seconds

    def _look(self) -> None:
        said = re.compile(self._server.spec.load_begins)
        while self._server.spec.load_begins and not self._over.wait(POLL_SECONDS):
            try:
                if said.search(self._server.log_tail(LOG_LINES)):
                    self.seconds = time.monotonic() - self._began
                    return
            except TwinServeError:
                continue  # a container that has no log yet
