"""What is run in which order: all endpoints take turns, so that what disturbs the machine disturbs all alike."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from serving.load.early_stopping import fewest_samples
from serving.load.job import LoadPlan
from serving.load.loaded import LoadedEndpoint
from serving.load.window import Scenario, Window, WindowPlan

Tell = Callable[[dict[str, Any]], None]
"""Told of every step that is done, as JSON's objects."""

CALIBRATION_CLIENTS = 4
TARGET_PERCENTILE: dict[Scenario, float] = {
    "SingleStream": 0.9,
    "MultiStream": 0.99,
    "Server": 0.99,
    "Offline": 0.99,
}
"""MLPerf's."""
QUICK_PERCENTILE = 0.9
"""A short window has too few queries for LoadGen's word on the 99th."""
LONGEST_STRETCH = 4
"""Times a window's length that a slow server may take for as many samples as a 99th percentile needs."""
MORE_TRIES = 1
FASTER = 1.5


@dataclass
class Contender:
    """An endpoint, and what is known of its speed so far.

    Attributes:
        loaded: the endpoint.
        number: its place in the job.
        rates: requests a second, by number of clients.
    """

    loaded: LoadedEndpoint
    number: int
    rates: dict[int, float] = field(default_factory=dict)

    @property
    def best_rate(self) -> float:
        return max(self.rates.values())

    @property
    def protocol(self) -> str:
        return self.loaded.endpoint.protocol


class Schedule:
    """All windows of a job.

    Args:
        endpoints: in the order in which they take turns.
        plan: how long and how hard.
        folder: where latencies go.
        tell: is told what is done.
    """

    def __init__(
        self, endpoints: Sequence[LoadedEndpoint], plan: LoadPlan, folder: Path, tell: Tell
    ) -> None:
        self._all = [Contender(loaded, number) for number, loaded in enumerate(endpoints)]
        self._plan, self._folder, self._tell = plan, folder, tell
        self._began = time.perf_counter()
        self._files = 0

    def run(self) -> None:
        """Accuracy first: an endpoint whose answers are wrong is not measured."""
        right = [each for each in self._all if self._is_accurate(each)]
        for each in right:
            self._warm_up(each)
        for scenario in self._plan.scenarios:
            if scenario == "Offline":
                for clients in self._plan.clients:
                    self._take_turns(right, scenario, clients)
        for scenario in self._plan.scenarios:
            if scenario != "Offline":
                self._take_turns(right, scenario)
        for share in self._plan.sweep:
            for each in right:
                self._sweep(each, share)

    # ---- before anything counts ----

    def _is_accurate(self, each: Contender) -> bool:
        wrong, problem = each.loaded.accuracy()
        self._say(
            each,
            "accuracy",
            requests=each.loaded.rows,
            wrong=wrong,
            problem=problem,
            request_bytes=each.loaded.request_bytes,
            answer_bytes=each.loaded.answer_bytes,
        )
        return not wrong

    def _warm_up(self, each: Contender) -> None:
        seconds = self._plan.warmup_seconds
        requests = each.loaded.closed_loop(CALIBRATION_CLIENTS, seconds).total
        for clients in (1, CALIBRATION_CLIENTS):
            observed = each.loaded.closed_loop(clients, seconds / 2)
            each.rates[clients] = max(observed.rate, 1.0)
            requests += observed.total
        self._say(each, "warm-up", requests=requests, rates=each.rates)

    # ---- what counts ----

    def _take_turns(
        self, contenders: Sequence[Contender], scenario: Scenario, clients: int = 0
    ) -> None:
        for number in range(1, self._plan.windows + 1):
            for each in contenders:
                plan = self._window(contenders, each, scenario, clients, number)
                window = self._one(each, plan, clients)
                if scenario == "Offline":
                    each.rates[clients] = window.rate
                self._report(each, "window", plan, window, number, clients)

    def _one(self, each: Contender, plan: WindowPlan, clients: int) -> Window:
        """A window; once more where the system was faster than expected and LoadGen ran out of queries."""
        window = each.loaded.window(plan, clients)
        for _ in range(MORE_TRIES):
            if "it ended before its time" not in window.reasons:
                break
            faster = max(window.rate, plan.rate) * FASTER
            plan = WindowPlan(**{**vars(plan), "rate": faster})
            window = each.loaded.window(plan, clients)
        return window

    def _window(
        self,
        contenders: Sequence[Contender],
        each: Contender,
        scenario: Scenario,
        clients: int,
        number: int,
    ) -> WindowPlan:
        plan = self._plan
        seconds = {"Offline": plan.offline_seconds, "Server": plan.server_seconds}
        rate = each.rates.get(clients) or each.rates[1 if scenario == "SingleStream" else 4]
        if scenario == "Server":
            slowest = min(o.best_rate for o in contenders if o.protocol == each.protocol)
            rate = slowest * plan.server_share
        return self._plan_of(scenario, seconds.get(scenario, plan.stream_seconds), rate, number)

    def _plan_of(self, scenario: Scenario, seconds: float, rate: float, number: int) -> WindowPlan:
        plan = self._plan
        percentile = min(TARGET_PERCENTILE[scenario], QUICK_PERCENTILE if plan.quick else 1.0)
        enough = math.ceil(fewest_samples(0.99) / plan.windows)
        queries = int(min(enough, rate * seconds * LONGEST_STRETCH))
        return WindowPlan(
            scenario, seconds, rate, plan.bound_ms, percentile, plan.seed + number, queries
        )

    def _sweep(self, each: Contender, share: float) -> None:
        plan = self._plan_of("Server", self._plan.sweep_seconds, each.best_rate * share, 1)
        self._report(each, "sweep", plan, each.loaded.window(plan), 1, 0)

    # ---- what is told ----

    def _report(
        self,
        each: Contender,
        kind: str,
        plan: WindowPlan,
        window: Window,
        number: int,
        clients: int,
    ) -> None:
        name = f"{self._files}.npy"
        self._files += 1
        np.save(self._folder / name, window.latencies)
        lags = window.lags if len(window.lags) else np.zeros(1)
        p50, p99 = np.percentile(lags, (50, 99)) * 1000
        self._say(
            each,
            kind,
            scenario=plan.scenario,
            number=number,
            clients=clients,
            target=plan.rate if plan.scenario == "Server" else None,
            offered=window.offered,
            bound_ms=plan.bound_ms if plan.scenario == "Server" else None,
            latencies=name,
            requests=window.requests,
            seconds=window.seconds,
            rate=window.rate,
            wrong=window.wrong,
            problem=window.problem,
            validity=window.validity,
            reasons=window.reasons,
            cores=window.cores,
            lag_p50_ms=float(p50),
            lag_p99_ms=float(p99),
        )

    def _say(self, each: Contender, kind: str, **more: Any) -> None:
        ended = time.perf_counter() - self._began
        self._tell({"kind": kind, "endpoint": each.number, "ended": ended, **more})


def steps(plan: LoadPlan, endpoints: int) -> int:
    """How many things a schedule tells of, where every answer is right."""
    runs = sum(len(plan.clients) if each == "Offline" else 1 for each in plan.scenarios)
    return endpoints * (2 + plan.windows * runs + len(plan.sweep))
