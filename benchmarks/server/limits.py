"""What one process can do without a server, and what the embedded server does at its edges."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.server.contestants import EMBEDDED
from benchmarks.server.load.job import Cell, Seen
from benchmarks.server.plan import Plan
from benchmarks.server.rounds import Stage, running
from models.errors import ServerFault
from pipelines.settings import PROJECT

EARLY_REQUESTS = 2_000
LONGEST_SECONDS = 300.0
IN_PROCESS_SECONDS = 180.0
IMPORTS = 3

_QUIET = {"TF_CPP_MIN_LOG_LEVEL": "2", "CUDA_VISIBLE_DEVICES": "-1"}


@dataclass(frozen=True)
class InProcess:
    """A process with TensorFlow and no server.

    Attributes:
        call_ms: the quickest call of the digits network, by rows.
        way: which call that was, by rows.
        large_rows: rows of a JSON batch of about 1 MB.
        large_bytes: its length.
        large_parse_ms: orjson's bare parse of it.
        import_seconds: of a process that imports TensorFlow and ends.
        heavy_rate: calls a second of the network with 100 MB of weights, by rows; no server can do more.
        heavy_rate_of_one: the same for one caller, who waits for each answer.
        processors: that it may use.
    """

    call_ms: dict[int, float]
    way: dict[int, str]
    large_rows: int
    large_bytes: int
    large_parse_ms: float
    import_seconds: float
    heavy_rate: dict[int, float] = field(default_factory=dict)
    heavy_rate_of_one: dict[int, float] = field(default_factory=dict)
    processors: int = 1


@dataclass(frozen=True)
class Edges:
    """The embedded server, digits, batching off.

    Attributes:
        large: one client that sends the JSON batch of about 1 MB.
        many: by protocol, many simultaneous connections.
        early_bytes: memory after the first requests.
        late_bytes: memory after the last.
        late_requests: how many those were.
        steady_wrong: what was wrong among them; empty where nothing was.
    """

    large: Seen
    many: dict[str, Seen]
    early_bytes: int
    late_bytes: int
    late_requests: int
    steady_wrong: str = ""


@dataclass
class Limits:
    """Either part is None where it could not be measured; ``failures`` says why."""

    in_process: InProcess | None = None
    edges: Edges | None = None
    failures: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def measure_in_process(home: Path) -> InProcess:
    """
    Raises:
        ServerFault: the process failed.
    """
    command = [sys.executable, "-m", "benchmarks.server.in_process", str(home)]
    found = json.loads(_run(command).splitlines()[-1])
    return InProcess(
        call_ms=_by_rows(found["call_ms"]),
        way={int(rows): way for rows, way in found["way"].items()},
        large_rows=found["large_rows"],
        large_bytes=found["large_bytes"],
        large_parse_ms=found["large_parse_ms"],
        import_seconds=statistics.median(_import_seconds() for _ in range(IMPORTS)),
        heavy_rate=_by_rows(found["heavy_rate"]),
        heavy_rate_of_one=_by_rows(found["heavy_rate_of_one"]),
        processors=found["processors"],
    )


def _by_rows(found: dict[str, float]) -> dict[int, float]:
    return {int(rows): value for rows, value in found.items()}


def measure_edges(plan: Plan, stage: Stage, large_rows: int) -> Edges:
    """Start the embedded server once and take it to its edges.

    Raises:
        ServerError, RequestError: it cannot be started or loaded.
    """
    with running(EMBEDDED, "digits", False, stage) as server:
        early_wrong = _ask(server, EARLY_REQUESTS)
        early = server.server.resident_bytes()
        late_wrong = _ask(server, plan.steady_requests - EARLY_REQUESTS)
        late = server.server.resident_bytes()
        large = Cell(1, large_rows, plan.seconds, warmup_seconds=0.5)
        many = Cell(plan.many_clients, 1, plan.seconds, warmup_seconds=0.5)
        return Edges(
            large=server.load("REST", (large,))[0],
            many={protocol: server.load(protocol, (many,))[0] for protocol in ("REST", "gRPC")},
            early_bytes=early,
            late_bytes=late,
            late_requests=plan.steady_requests,
            steady_wrong=early_wrong or late_wrong,
        )


def _ask(server: Any, requests: int) -> str:
    """Half of them over each protocol; what was wrong."""
    cell = Cell(8, 1, LONGEST_SECONDS, warmup_seconds=0, requests=max(requests // 2, 1))
    seen = [server.load(protocol, (cell,))[0] for protocol in ("REST", "gRPC")]
    short = [each for each in seen if not each.wrong and each.answers < cell.requests]
    problem = next((each.problem for each in seen if each.wrong), "")
    return problem or ("not all requests were answered in time" if short else "")


def _import_seconds() -> float:
    began = time.perf_counter()
    _run([sys.executable, "-c", "import tensorflow"])
    return time.perf_counter() - began


def _run(command: list[str]) -> str:
    try:
        done = subprocess.run(
            command,
            cwd=PROJECT,
            env={**os.environ, **_QUIET},
            capture_output=True,
            text=True,
            timeout=IN_PROCESS_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ServerFault(f"{' '.join(command[1:3])} took more than {error.timeout} s") from error
    if done.returncode:
        raise ServerFault(f"{' '.join(command[1:3])} failed: {done.stderr.strip()[-500:]}")
    return done.stdout
