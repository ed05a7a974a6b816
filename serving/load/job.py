"""What to load and how: one JSON file, so that the load generator is a process of its own."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from serving.endpoints import Endpoint


@dataclass(frozen=True)
class LoadPlan:
    """How hard and how long.

    Attributes:
        warmup_requests: sent first to every endpoint, by 4 clients, and not counted.
        latency_requests: sent by one client; then p50, p90 and p99 are taken.
        throughput_seconds: how long each number of clients is kept up, in each round.
        clients: numbers of closed-loop clients.
        rounds: the endpoints take turns this often; the median round counts.
        timeout_seconds: the whole job; whatever is not done by then is an error.
    """

    warmup_requests: int = 200
    latency_requests: int = 600
    throughput_seconds: float = 0.8
    clients: tuple[int, ...] = (1, 4, 16)
    rounds: int = 3
    timeout_seconds: float = 180.0


@dataclass(frozen=True)
class LoadTarget:
    """One endpoint and what its answers must be.

    Attributes:
        endpoint: where to send.
        rows: an ``.npz`` with ``inputs/<name>`` and ``expected/<name>``; one row is one request.
    """

    endpoint: Endpoint
    rows: Path


@dataclass(frozen=True)
class LoadJob:
    """A whole job.

    Attributes:
        case: name of the case, whose contract says how answers are read and compared.
        cases_path: more homes of cases.
        targets: the endpoints, in the order in which they take turns.
        plan: how hard and how long.
    """

    case: str
    cases_path: tuple[str, ...]
    targets: tuple[LoadTarget, ...]
    plan: LoadPlan

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), default=str))

    @classmethod
    def read(cls, path: Path) -> LoadJob:
        stored = json.loads(path.read_text())
        return cls(
            stored["case"],
            tuple(stored["cases_path"]),
            tuple(_target(each) for each in stored["targets"]),
            LoadPlan(**{**stored["plan"], "clients": tuple(stored["plan"]["clients"])}),
        )


def _target(stored: dict[str, dict[str, object]]) -> LoadTarget:
    endpoint = dict(stored["endpoint"])
    endpoint["workdir"] = Path(str(endpoint["workdir"]))
    return LoadTarget(Endpoint(**endpoint), Path(str(stored["rows"])))  # type: ignore[arg-type]
