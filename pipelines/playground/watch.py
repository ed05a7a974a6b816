"""How the servers are, told to every open page as soon as it changes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, Protocol

from pipelines.playground.engines import Engine

WATCHED_SECONDS, IDLE_SECONDS = 0.7, 3.0
"""Between two looks: with a page open, and without."""
HEARTBEAT_SECONDS = 1.0

log = logging.getLogger("twinserve")


class Watched(Protocol):
    """What is watched; see ``Fleet``."""

    def refresh(self) -> dict[str, Any]: ...
    def state(self) -> dict[str, Any]: ...
    def engines(self) -> list[Engine]: ...


class Watch:
    """Looks at the fleet again and again.

    Attributes:
        ended: the application is about to end; every stream ends too.
        pages: how many pages listen.
    """

    def __init__(self, fleet: Watched) -> None:
        self.fleet = fleet
        self.ended = False
        self.pages = 0
        self._changed = asyncio.Condition()
        self._state: dict[str, Any] = fleet.state()

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            try:
                state = await asyncio.to_thread(self.fleet.refresh)
            except Exception:
                # A page that no longer learns of anything would be worse than a line in the log.
                log.exception("The servers could not be looked at")
                state = self._state
            if state != self._state:
                self._state = state
                async with self._changed:
                    self._changed.notify_all()
            await asyncio.sleep(WATCHED_SECONDS if self.pages else IDLE_SECONDS)

    async def states(self) -> AsyncIterator[dict[str, Any] | None]:
        """The state now and whenever it changes; None as a sign of life in between."""
        self.pages += 1
        try:
            told: dict[str, Any] | None = None
            while not self.ended:
                if self._state != told:
                    told = self._state
                    yield told
                    continue
                async with self._changed:
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self._changed.wait(), HEARTBEAT_SECONDS)
                if self._state == told:
                    yield None
        finally:
            self.pages -= 1
