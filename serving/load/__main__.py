"""``python -m serving.load job.json``: do a load job and print what was seen, one JSON object a line."""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from models.arrays import read_arrays
from models.case import load_case
from models.contract import Contract
from models.errors import TwinServeError
from models.parent import end_with_parent
from models.parity import Tolerance
from serving.load.answers import AnswerCheck
from serving.load.closed_loop import Observed, run_closed_loop
from serving.load.job import LoadJob, LoadPlan, LoadTarget
from serving.wire.call import WireCall

WARMUP_CLIENTS = 4


class LoadedEndpoint:
    """An endpoint with its ready requests and the check of its answers."""

    def __init__(
        self, target: LoadTarget, case_name: str, contract: Contract, tolerance: Tolerance
    ):
        self.endpoint = target.endpoint
        stored = read_arrays(target.rows)
        inputs = {spec.name: stored[f"inputs/{spec.name}"] for spec in contract.inputs}
        expected = {name: stored[f"expected/{name}"] for name in contract.output_names}
        client = target.endpoint.connect(case_name, contract)
        rows = len(next(iter(inputs.values())))
        self.calls: list[WireCall] = [
            client.call_for({name: array[row : row + 1] for name, array in inputs.items()})
            for row in range(rows)
        ]
        self.check = AnswerCheck(contract, expected, tolerance, client.read_answer)

    async def run(
        self, clients: int, *, requests: int | None = None, seconds: float | None = None
    ) -> Observed:
        return await run_closed_loop(
            self.calls, self.check, clients, requests=requests, seconds=seconds
        )


async def do(job: LoadJob) -> list[dict[str, object]]:
    """Warm up, measure latency, then throughput in rounds in which the endpoints take turns."""
    case = load_case(job.case, [Path(folder) for folder in job.cases_path])
    loaded = [
        LoadedEndpoint(target, case.name, case.contract, case.tolerances.float32)
        for target in job.targets
    ]
    for each in loaded:
        await each.run(WARMUP_CLIENTS, requests=job.plan.warmup_requests)
    found = [
        _latency(each, await each.run(1, requests=job.plan.latency_requests)) for each in loaded
    ]
    return [*found, *await _throughput(loaded, job.plan)]


async def _throughput(loaded: list[LoadedEndpoint], plan: LoadPlan) -> list[dict[str, object]]:
    seen: dict[tuple[int, int], list[Observed]] = {}
    for _ in range(plan.rounds):
        for clients in plan.clients:
            for number, each in enumerate(loaded):
                observed = await each.run(clients, seconds=plan.throughput_seconds)
                seen.setdefault((number, clients), []).append(observed)
    return [
        _throughput_row(loaded[number], clients, rounds)
        for (number, clients), rounds in sorted(seen.items())
    ]


def _latency(each: LoadedEndpoint, observed: Observed) -> dict[str, object]:
    p50, p90, p99 = np.percentile(observed.latencies_ms, (50, 90, 99))
    return {
        "kind": "latency",
        **_title(each),
        "requests": len(observed.latencies_ms),
        "wrong": observed.wrong,
        "problem": observed.first_problem,
        "p50_ms": float(p50),
        "p90_ms": float(p90),
        "p99_ms": float(p99),
    }


def _throughput_row(
    each: LoadedEndpoint, clients: int, rounds: list[Observed]
) -> dict[str, object]:
    rates = [len(observed.latencies_ms) / observed.seconds for observed in rounds]
    return {
        "kind": "throughput",
        **_title(each),
        "clients": clients,
        "requests": sum(len(observed.latencies_ms) for observed in rounds),
        "seconds": sum(observed.seconds for observed in rounds),
        "wrong": sum(observed.wrong for observed in rounds),
        "problem": next(_problems(rounds), ""),
        "requests_per_second": statistics.median(rates),
    }


def _problems(rounds: list[Observed]) -> Iterator[str]:
    return (observed.first_problem for observed in rounds if observed.first_problem)


def _title(each: LoadedEndpoint) -> dict[str, object]:
    return {"server": each.endpoint.label, "protocol": each.endpoint.protocol}


def main() -> int:
    """Do a job; see the module's docstring."""
    parser = argparse.ArgumentParser(prog="python -m serving.load", description=__doc__)
    parser.add_argument("job", type=Path, help="written by serving.load.job.LoadJob.write")
    job = LoadJob.read(parser.parse_args().job)
    end_with_parent()
    try:
        for row in asyncio.run(do(job)):
            print(json.dumps(row))
    except TwinServeError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
