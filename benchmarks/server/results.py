"""What was seen, over all rounds: medians, and figures that a wrong answer has voided."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.server.load.job import Seen

CLIENT_LIMIT = 0.7
"""Cores. Where the load client used more, the figure is its own rather than the server's."""


@dataclass(frozen=True, order=True)
class Key:
    """One cell of the table."""

    subject: str
    protocol: str
    batching: bool
    batch: int
    clients: int
    server: str

    def of(self, server: str, batching: bool | None = None) -> Key:
        """The same cell of another server, or with batching on or off."""
        chosen = self.batching if batching is None else batching
        return Key(self.subject, self.protocol, chosen, self.batch, self.clients, server)

    def __str__(self) -> str:
        return f"{self.subject}, {self.protocol}, {self.batch} rows, {self.clients} clients"


@dataclass(frozen=True)
class Measured:
    """The medians of a cell's rounds.

    Attributes:
        rate: requests a second; None where one answer of any round was wrong.
        p50_ms: median of the rounds' medians; None likewise.
        p99_ms: likewise; None also where a round has too few answers for one.
        cpu_seconds_per_1000: of the server's processes.
        client_cpu_seconds_per_1000: of the load client.
        rounds: how many there were.
        void: why there is no figure; empty where there is one.
        client_bound: whether the load client was the limit in any round.
    """

    rate: float | None
    p50_ms: float | None
    p99_ms: float | None
    cpu_seconds_per_1000: float | None
    client_cpu_seconds_per_1000: float | None
    rounds: int
    void: str = ""
    client_bound: bool = False

    @classmethod
    def of(cls, rounds: Sequence[Seen]) -> Measured:
        """Medians; void where any round saw a wrong answer, or none at all."""
        void = next(filter(None, map(_why_void, rounds)), "")
        if void:
            return cls(None, None, None, None, None, len(rounds), void)
        p99s = [seen.p99_ms for seen in rounds if seen.p99_ms is not None]
        return cls(
            statistics.median(seen.rate for seen in rounds),
            statistics.median(seen.p50_ms for seen in rounds),
            statistics.median(p99s) if len(p99s) == len(rounds) else None,
            statistics.median(seen.cpu_seconds_per_1000 for seen in rounds),
            statistics.median(seen.client_cpu_seconds_per_1000 for seen in rounds),
            len(rounds),
            client_bound=any(seen.client_cpu > CLIENT_LIMIT for seen in rounds),
        )


@dataclass(frozen=True)
class Start:
    """One start of a server.

    Attributes:
        ready_seconds: from its start to its first right answer.
        memory_bytes: of its processes after the load, PSS where the kernel gives it.
    """

    ready_seconds: float
    memory_bytes: int


class Results:
    """Everything that a run has seen.

    Attributes:
        cells: the rounds of each cell.
        starts: by server, subject and batching.
        failures: servers that could not be measured, and why.
    """

    def __init__(self) -> None:
        self.cells: dict[Key, list[Seen]] = {}
        self.starts: dict[tuple[str, str, bool], list[Start]] = {}
        self.failures: dict[str, str] = {}

    def measured(self) -> dict[Key, Measured]:
        return {key: Measured.of(rounds) for key, rounds in sorted(self.cells.items())}

    def start_of(self, server: str, subject: str, batching: bool) -> Start | None:
        """The medians of its starts; None where it never got ready."""
        starts = self.starts.get((server, subject, batching))
        if not starts:
            return None
        return Start(
            statistics.median(each.ready_seconds for each in starts),
            int(statistics.median(each.memory_bytes for each in starts)),
        )

    def to_json(self) -> dict[str, Any]:
        """For another program: medians, and every round behind them."""
        return {
            "cells": [
                {**asdict(key), **asdict(measured), "all": _as_dicts(self.cells[key])}
                for key, measured in self.measured().items()
            ],
            "starts": [
                {"server": server, "subject": subject, "batching": on, "all": _as_dicts(starts)}
                for (server, subject, on), starts in self.starts.items()
            ],
            "failures": self.failures,
        }


def _why_void(seen: Seen) -> str:
    if seen.wrong:
        return f"{seen.wrong} wrong: {seen.problem}"
    return "" if seen.answers else "no answer in time"


def _as_dicts(values: Iterable[Any]) -> list[dict[str, Any]]:
    return [asdict(value) for value in values]
