"""How much is measured."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.server.load.job import FOR_P99, Cell
from benchmarks.server.subject import SUBJECTS

BATCH_ROWS = 32
"""Most rows in a batch, for every server that batches."""

BATCH_WAIT_MS = 1.0
"""How long a batch waits for more, for every server that lets one say it."""


@dataclass(frozen=True)
class Plan:
    """What a run does.

    Attributes:
        only: names of contestants; empty for all.
        subjects: names of models.
        clients: numbers of closed-loop clients.
        batches: rows in a request.
        rounds: every server is started and measured so often, in turn; medians count.
        seconds: how long a cell counts; longer where so few answers come that they have no p99.
        steady_requests: until memory is weighed for the second time.
        many_clients: simultaneous connections that must all be served.
    """

    only: tuple[str, ...] = ()
    subjects: tuple[str, ...] = SUBJECTS
    clients: tuple[int, ...] = (1, 8, 32)
    batches: tuple[int, ...] = (1, 32)
    rounds: int = 3
    seconds: float = 1.0
    steady_requests: int = 200_000
    many_clients: int = 500

    def warm_up(self) -> tuple[Cell, ...]:
        """What every endpoint is sent first, and what is not counted: each size of batch."""
        return tuple(Cell(4, batch, seconds=self.seconds) for batch in self.batches)

    def cells(self) -> tuple[Cell, ...]:
        """Of one endpoint."""
        return tuple(
            Cell(clients, batch, self.seconds, min(0.3, self.seconds / 3), fewest=FOR_P99)
            for batch in self.batches
            for clients in self.clients
        )


QUICK = Plan(subjects=("digits",), clients=(1, 8), rounds=1, seconds=0.5, steady_requests=10_000)
