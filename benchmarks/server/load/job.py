"""What one load process does: cells, one after the other, against one endpoint."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from serving.load.closed_loop import Observed
from serving.load.early_stopping import fewest_samples

FOR_P99 = fewest_samples(0.99)
"""Answers. From fewer no p99 is told."""


@dataclass(frozen=True)
class Cell:
    """Closed-loop clients for a time.

    Attributes:
        clients: requests under way at any time, each client with a connection of its own.
        batch: rows in a request.
        seconds: how long answers count.
        warmup_seconds: how long before that they do not.
        requests: ends the cell after so many answers instead, warm-up included; 0 for no limit.
        fewest: where fewer answers count, ``seconds`` are added again and again, ten times as many at most.
    """

    clients: int
    batch: int
    seconds: float
    warmup_seconds: float = 0.2
    requests: int = 0
    fewest: int = 0

    @property
    def longest_seconds(self) -> float:
        """How long answers count at most."""
        return (10 if self.fewest else 1) * self.seconds


@dataclass(frozen=True)
class Job:
    """Where to, in which form, and which cells.

    Attributes:
        dialect: a key of :data:`benchmarks.server.dialects.DIALECTS`.
        host: the server's address.
        port: its port for that protocol.
        subject: the model's name.
        home: holds the subjects.
        pid: of the server's first process, whose tree's CPU time is read.
        cells: in this order.
    """

    dialect: str
    host: str
    port: int
    subject: str
    home: Path
    pid: int
    cells: tuple[Cell, ...]

    @property
    def most_seconds(self) -> float:
        """After which it cannot be right any more."""
        times = (cell.longest_seconds + cell.warmup_seconds for cell in self.cells)
        return 60 + sum(4 * each + 30 for each in times)

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), default=str))

    @classmethod
    def read(cls, path: Path) -> Job:
        stored = json.loads(path.read_text())
        cells = tuple(Cell(**cell) for cell in stored.pop("cells"))
        home = Path(stored.pop("home"))
        return cls(**stored, home=home, cells=cells)


@dataclass(frozen=True)
class Seen:
    """What the clients of one cell saw.

    Attributes:
        clients: as in the cell.
        batch: as in the cell.
        answers: in the time that counts.
        seconds: that time.
        p50_ms: of those answers.
        p99_ms: of those answers; None where they are too few for one.
        wrong: wrong answers, errors and lost connections, warm-up included.
        problem: the first of them.
        cpu_seconds_per_1000: of the server's whole process tree, per 1,000 requests.
        client_cpu: cores that the load client itself used, 0 to 1.
    """

    clients: int
    batch: int
    answers: int
    seconds: float
    p50_ms: float
    p99_ms: float | None
    wrong: int
    problem: str
    cpu_seconds_per_1000: float
    client_cpu: float

    @classmethod
    def of(cls, cell: Cell, observed: Observed, cpu_seconds: float, client_cpu: float) -> Seen:
        """What the clients of a cell saw.

        Args:
            cell: theirs.
            observed: by them.
            cpu_seconds: of the server, over the whole cell.
            client_cpu: cores that the client used.
        """
        answers = len(observed.latencies_ms)
        return cls(
            clients=cell.clients,
            batch=cell.batch,
            answers=answers,
            seconds=observed.seconds,
            p50_ms=observed.percentile_ms(50),
            p99_ms=observed.percentile_ms(99) if answers >= FOR_P99 else None,
            wrong=observed.wrong,
            problem=observed.first_problem,
            cpu_seconds_per_1000=1000 * cpu_seconds / max(observed.total, 1),
            client_cpu=client_cpu,
        )

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.answers / self.seconds if self.seconds else 0.0

    @property
    def client_cpu_seconds_per_1000(self) -> float:
        """Of the load client, per 1,000 requests."""
        return 1000 * self.client_cpu / self.rate if self.rate else 0.0
