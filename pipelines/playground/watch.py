"""How the servers are, as every open page is told."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any, Protocol

from pipelines.playground.engines import Engine

WATCHED_SECONDS, IDLE_SECONDS = 0.7, 3.0
"""Between two looks: while pages ask, and while none does."""

log = logging.getLogger("twinserve")


class Watched(Protocol):
    """What is watched; see ``Fleet``."""

    def refresh(self) -> dict[str, Any]: ...
    def state(self) -> dict[str, Any]: ...
    def engines(self) -> list[Engine]: ...


class Watch:
    """Looks at the fleet again and again."""

    def __init__(self, fleet: Watched) -> None:
        self.fleet = fleet
        self._state: dict[str, Any] = fleet.state()
        self._asked_at = time.monotonic()

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            try:
                self._state = await asyncio.to_thread(self.fleet.refresh)
            except Exception:
                # A page that no longer learns of anything would be worse than a line in the log.
                log.exception("The servers could not be looked at")
            idle = time.monotonic() - self._asked_at > IDLE_SECONDS
            await asyncio.sleep(IDLE_SECONDS if idle else WATCHED_SECONDS)

    def state(self) -> dict[str, Any]:
        """What the last look has found; see ``Fleet.refresh``."""
        self._asked_at = time.monotonic()
        return self._state
