"""What to load and how: one JSON file, so that the load generator is a process of its own."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from serving.endpoints import Endpoint
from serving.load.window import Scenario

MLPERF_SECONDS = 600.0
"""MLPerf's shortest run of a scenario."""
FULL_WINDOWS = 6
"""So many pairs as a bootstrap interval of a ratio needs."""


@dataclass(frozen=True)
class LoadPlan:
    """How hard and how long.

    Attributes:
        quick: short windows, for a look.
        windows: of every kind, in which the endpoints take turns.
        stream_seconds: a window of SingleStream, and of MultiStream.
        server_seconds: a window of Server.
        offline_seconds: a window of Offline, for each number of clients.
        sweep_seconds: one offered load of the sweep; it has one window.
        scenarios: that are run; Offline once for each of ``clients``.
        clients: numbers of requests under way at once.
        server_share: of the throughput of the slower server, as the offered load of Server for both.
        sweep: shares of an endpoint's own throughput, as offered loads.
        bound_ms: the latency that Server must keep; MLPerf's for image classification.
        warmup_seconds: before anything is measured, at every endpoint.
        seed: of rows and arrivals.
    """

    quick: bool
    windows: int
    stream_seconds: float
    server_seconds: float
    offline_seconds: float
    sweep_seconds: float
    scenarios: tuple[Scenario, ...] = ("SingleStream", "MultiStream", "Server", "Offline")
    clients: tuple[int, ...] = (4, 16)
    server_share: float = 0.5
    sweep: tuple[float, ...] = (0.2, 0.4, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1)
    bound_ms: float = 15.0
    warmup_seconds: float = 1.0
    seed: int = 20_240_517

    @classmethod
    def full(cls, seconds: float = MLPERF_SECONDS) -> LoadPlan:
        """MLPerf's rule: so long for every scenario of every endpoint, in six windows.

        Args:
            seconds: all windows of a scenario together; the sweep takes a tenth of it at each load.
        """
        window = seconds / FULL_WINDOWS
        return cls(False, FULL_WINDOWS, window, window, window, seconds / 10)

    @property
    def short(self) -> bool:
        """Whether it is shorter than MLPerf's rule, and not quick, which says so itself."""
        shortest = min(self.stream_seconds, self.server_seconds, self.offline_seconds)
        return not self.quick and self.windows * shortest < MLPERF_SECONDS

    @property
    def seconds(self) -> float:
        """About how long one endpoint takes, without what LoadGen needs between windows."""
        by_scenario = {
            "SingleStream": self.stream_seconds,
            "MultiStream": self.stream_seconds,
            "Server": self.server_seconds,
            "Offline": self.offline_seconds * len(self.clients),
        }
        windows = self.windows * sum(by_scenario[each] for each in self.scenarios)
        return self.warmup_seconds * 2 + windows + self.sweep_seconds * len(self.sweep)

    def timeout_seconds(self, endpoints: int) -> float:
        """After which it cannot be right any more: slow answers may stretch a window to four times its length."""
        return 300 + 5 * endpoints * self.seconds


QUICK = LoadPlan(
    quick=True,
    windows=3,
    stream_seconds=0.6,
    server_seconds=0.6,
    offline_seconds=0.3,
    sweep_seconds=0.4,
    scenarios=("SingleStream", "Server", "Offline"),
    sweep=(0.3, 0.6, 0.9, 1.1),
    warmup_seconds=0.4,
)


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
        targets: the endpoints; those of one protocol take turns in this order.
        plan: how hard and how long.
        folder: where latencies go, a ``.npy`` a window.
    """

    case: str
    cases_path: tuple[str, ...]
    targets: tuple[LoadTarget, ...]
    plan: LoadPlan
    folder: Path

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), default=str))

    @classmethod
    def read(cls, path: Path) -> LoadJob:
        stored = json.loads(path.read_text())
        return cls(
            stored["case"],
            tuple(stored["cases_path"]),
            tuple(_target(each) for each in stored["targets"]),
            _plan(stored["plan"]),
            Path(stored["folder"]),
        )


def _plan(stored: dict[str, Any]) -> LoadPlan:
    """JSON has lists where the plan has tuples."""
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in stored.items()}
    return LoadPlan(**values)


def _target(stored: dict[str, dict[str, object]]) -> LoadTarget:
    endpoint = dict(stored["endpoint"])
    endpoint["workdir"] = Path(str(endpoint["workdir"]))
    return LoadTarget(Endpoint(**endpoint), Path(str(stored["rows"])))  # type: ignore[arg-type]
