"""From the load generator's steps to everything that they say."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.facts import (
    ConditionsFacts,
    KneeFacts,
    LoadFacts,
    RatioFacts,
    ScenarioFacts,
    ThroughputFacts,
)
from pipelines.measuring.conditions import conditions_of, differences
from pipelines.measuring.figures import scenario_facts, throughput_facts
from pipelines.measuring.histograms import write_histogram
from pipelines.measuring.knees import knee_of
from pipelines.measuring.ratios import RANKS, latency_ratio, throughput_ratio
from pipelines.measuring.windows import Seen
from serving.endpoints import Endpoint
from serving.load.job import LoadJob
from serving.load.window import ENGINE
from serving.server import ServerSpec

HISTOGRAMS = "histograms"

Title = tuple[int, str, int]
"""Endpoint's place in the job, scenario, clients (0 but for Offline)."""


@dataclass(frozen=True)
class Told:
    """What a job told, in order.

    Attributes:
        job: that was done.
        steps: what the load generator said.
        specs: what ran, by server name.
        folder: the version's, for histograms.
    """

    job: LoadJob
    steps: Sequence[dict[str, Any]]
    specs: dict[str, ServerSpec]
    folder: Path

    def facts(self) -> LoadFacts:
        """Everything that the load runs found."""
        windows = self._windows("window")
        scenarios = {title: self._scenario(title, seen) for title, seen in windows.items()
                     if title[1] != "Offline"}  # fmt: skip
        throughput = {title: throughput_facts(seen, title[2]) for title, seen in windows.items()
                      if title[1] == "Offline"}  # fmt: skip
        alone = {
            (place, "Offline", 1): throughput_facts(seen, 1)
            for (place, scenario, _), seen in windows.items()
            if scenario == "SingleStream"
        }
        sweep = [scenario_facts([seen]) for seen in self._seen("sweep")]
        conditions = list(self._conditions())
        plan = self.job.plan
        return LoadFacts(
            quick=plan.quick,
            short=plan.short,
            engine=ENGINE,
            seconds_per_scenario=plan.windows * plan.stream_seconds,
            windows=plan.windows,
            seed=plan.seed,
            scenarios=[*self._wrong(), *scenarios.values()],
            throughput=[
                row for _, row in sorted({**alone, **throughput}.items(), key=lambda each: each[0])
            ],
            sweep=sweep,
            knees=_knees(sweep),
            ratios=list(self._ratios(windows, scenarios, throughput)),
            conditions=conditions,
            differences=differences(conditions),
        )

    def answers(self) -> Counter[str]:
        """Requests that each server was sent, by its label; those of the warm-up are not counted."""
        found: Counter[str] = Counter()
        for step in self.steps:
            found[self._endpoint(step).label] += step.get("requests", 0)
        return found

    def _endpoint(self, step: dict[str, Any]) -> Endpoint:
        place: int = step["endpoint"]
        return self.job.targets[place].endpoint

    def _seen(self, kind: str) -> Iterator[Seen]:
        for step in self.steps:
            if step["kind"] == kind:
                latencies = np.load(self.job.folder / step["latencies"]) * 1000
                began = step["ended"] - step["seconds"]
                yield Seen(self._endpoint(step), step, latencies, began)

    def _windows(self, kind: str) -> dict[Title, list[Seen]]:
        found: dict[Title, list[Seen]] = defaultdict(list)
        for seen in self._seen(kind):
            said = seen.said
            found[said["endpoint"], said["scenario"], said["clients"]].append(seen)
        return dict(found)

    def _wrong(self) -> Iterator[ScenarioFacts]:
        """Endpoints that were not measured: some answer was wrong before."""
        for step in self.steps:
            if step["kind"] == "accuracy" and step["wrong"]:
                endpoint = self._endpoint(step)
                yield ScenarioFacts(
                    server=endpoint.label,
                    protocol=endpoint.protocol,
                    scenario="SingleStream",
                    requests=step["requests"],
                    wrong=step["wrong"],
                    first_problem=step["problem"][:300],
                    validity="VOID",
                    reasons=["wrong in accuracy mode, so it was not measured"],
                    requests_per_second=0.0,
                )

    def _scenario(self, title: Title, seen: Sequence[Seen]) -> ScenarioFacts:
        endpoint, scenario = self.job.targets[title[0]].endpoint, title[1]
        name = f"{endpoint.server}-{endpoint.protocol}-{scenario}.hlog".lower()
        latencies = np.concatenate([each.latencies_ms for each in seen])
        write_histogram(self.folder / HISTOGRAMS / name, f"{endpoint.title}, {scenario}", latencies)
        return scenario_facts(seen, f"{HISTOGRAMS}/{name}")

    def _conditions(self) -> Iterator[ConditionsFacts]:
        for step in self.steps:
            if step["kind"] == "accuracy":
                endpoint = self._endpoint(step)
                yield conditions_of(endpoint, self.specs[endpoint.server], step)

    def _ratios(
        self,
        windows: dict[Title, list[Seen]],
        scenarios: dict[Title, ScenarioFacts],
        throughput: dict[Title, ThroughputFacts],
    ) -> Iterator[RatioFacts]:
        """The later server of the job over the first, in every scenario of every protocol."""
        seed = self.job.plan.seed
        for title, seen in windows.items():
            first = self._first_of(title, windows)
            if first == title:
                continue
            if title in throughput:
                pair = (throughput[title], throughput[first])
                if ratio := throughput_ratio(seen, windows[first], pair, seed):
                    yield ratio
                continue
            for quantity in RANKS:
                facts = (scenarios[title], scenarios[first])
                found = latency_ratio(seen, windows[first], quantity, facts, seed)
                if found:
                    yield found

    def _first_of(self, title: Title, windows: dict[Title, list[Seen]]) -> Title:
        """The same of the first endpoint of that protocol."""
        protocol = self.job.targets[title[0]].endpoint.protocol
        return min(
            each
            for each in windows
            if each[1:] == title[1:] and self.job.targets[each[0]].endpoint.protocol == protocol
        )


def _knees(sweep: Sequence[ScenarioFacts]) -> list[KneeFacts]:
    by_endpoint: dict[tuple[str, str], list[ScenarioFacts]] = defaultdict(list)
    for point in sweep:
        by_endpoint[point.server, point.protocol].append(point)
    return [knee_of(points) for points in by_endpoint.values()]
