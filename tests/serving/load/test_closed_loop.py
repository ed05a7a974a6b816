"""Closed-loop clients against a small real HTTP server that answers rightly, wrongly, or not at all."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
from aiohttp import web

from models.case import load_case
from models.parity import Tolerance
from serving.endpoints import Endpoint
from serving.load.__main__ import do
from serving.load.answers import AnswerCheck
from serving.load.closed_loop import Observed, run_closed_loop
from serving.load.job import LoadJob, LoadPlan, LoadTarget
from serving.process import free_ports
from serving.wire.call import WireCall
from serving.wire.rows import decode_rows

CONTRACT = load_case("digits").contract
ROWS = 5
HEADERS = (("X-Sent-By", "a closed-loop client"),)
Handler = Callable[[web.Request], Awaitable[web.Response]]


def expected() -> dict[str, np.ndarray]:
    logits = np.eye(ROWS, 10, dtype=np.float32) * 3
    return {"logits": logits, "probabilities": logits / 10}


class Service:
    """Answers row ``i`` to a body that says ``i``; counts what it got and how much at once.

    Args:
        spoil: told the number of each request; what it returns replaces the right answer.
    """

    def __init__(self, spoil: Callable[[int], web.Response | None] = lambda number: None) -> None:
        self.rows: list[int] = []
        self.connections: set[object] = set()
        self.at_once = self.most_at_once = 0
        self._spoil = spoil

    async def handle(self, request: web.Request) -> web.Response:
        number = len(self.rows)
        assert request.headers["X-Sent-By"] == HEADERS[0][1]
        self.rows.append(int(await request.text()))
        self.connections.add(request.transport)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0.005)
        self.at_once -= 1
        return self._spoil(number) or row_answer(self.rows[number])


def row_answer(row: int) -> web.Response:
    answer = {name: rows[row].tolist() for name, rows in expected().items()}
    return web.json_response({"predictions": [answer]})


@asynccontextmanager
async def listening(handle: Handler) -> AsyncIterator[int]:
    """The port on which ``handle`` answers every POST."""
    application = web.Application()
    application.router.add_post("/{path:.*}", handle)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    try:
        await site.start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def calls_to(port: int) -> list[WireCall]:
    url = f"http://127.0.0.1:{port}/"
    return [WireCall("REST", url, "", HEADERS, str(row).encode()) for row in range(ROWS)]


def load(service: Service, clients: int, **budget: float) -> Observed:
    check = AnswerCheck(
        CONTRACT, expected(), Tolerance(atol=1e-6), lambda body: decode_rows(body, CONTRACT)
    )

    async def run() -> Observed:
        async with listening(service.handle) as port:
            return await run_closed_loop(calls_to(port), check, clients, **budget)  # type: ignore[arg-type]

    return asyncio.run(run())


@pytest.mark.parametrize("clients", [1, 4])
def test_so_many_requests_are_sent_in_turn_and_all_are_right(clients):
    service = Service()
    observed = load(service, clients, requests=23)
    assert sorted(service.rows) == sorted(number % ROWS for number in range(23))
    assert len(observed.latencies_ms) == 23
    assert min(observed.latencies_ms) >= 5
    assert (observed.wrong, observed.first_problem) == (0, "")
    assert observed.seconds > 0


def test_each_client_has_one_request_under_way_on_a_connection_of_its_own():
    service = Service()
    load(service, 3, requests=30)
    assert service.most_at_once == 3
    assert len(service.connections) == 3


def test_a_time_is_kept_and_what_is_under_way_is_counted():
    service = Service()
    observed = load(service, 2, seconds=0.2)
    assert observed.seconds >= 0.2
    assert len(observed.latencies_ms) == len(service.rows) > 2


def test_every_wrong_answer_is_counted_and_the_first_is_told():
    wrong = Service(lambda number: row_answer(4) if number in (7, 11, 12) else None)
    observed = load(wrong, 1, requests=20)
    assert len(observed.latencies_ms) == 20
    assert observed.wrong == 3
    assert observed.first_problem.startswith('row 2: b\'{"predictions"')


def test_an_error_is_a_wrong_answer():
    failing = Service(
        lambda number: web.Response(status=503, text="no worker") if number == 3 else None
    )
    observed = load(failing, 1, requests=10)
    assert (observed.wrong, observed.first_problem) == (1, "503 no worker")
    assert len(observed.latencies_ms) == 10


def test_an_answer_that_is_no_prediction_is_wrong():
    nonsense = Service(lambda number: web.Response(text="<html>"))
    observed = load(nonsense, 2, requests=6)
    assert observed.wrong == 6


def test_a_server_that_is_not_there_gives_wrong_answers_and_no_exception():
    (port,) = free_ports(1)
    check = AnswerCheck(CONTRACT, expected(), Tolerance(atol=1e-6), lambda body: {})
    observed = asyncio.run(run_closed_loop(calls_to(port), check, 2, requests=4))
    assert observed.wrong == len(observed.latencies_ms) == 4
    assert str(port) in observed.first_problem


# ---- a whole job ----

PLAN = LoadPlan(
    warmup_requests=4,
    latency_requests=12,
    throughput_seconds=0.05,
    clients=(1, 3),
    rounds=2,
)


async def tfserving(request: web.Request) -> web.Response:
    """Answers as TF Serving does; the first pixel of an image names its row."""
    assert request.path == "/v1/models/digits:predict"
    rows = [int(np.ravel(row["image"])[0]) for row in (await request.json())["instances"]]
    answers = [{name: each[row].tolist() for name, each in expected().items()} for row in rows]
    return web.json_response({"predictions": answers})


def run_job(tmp_path: Path, answers: dict[str, np.ndarray]) -> list[dict[str, object]]:
    images = np.zeros((ROWS, 8, 8, 1), np.float32) + np.arange(ROWS).reshape(-1, 1, 1, 1)
    stored = {f"expected/{name}": rows for name, rows in answers.items()}
    np.savez(tmp_path / "rows.npz", **{"inputs/image": images.astype(np.float32)}, **stored)

    async def run() -> list[dict[str, object]]:
        async with listening(tfserving) as port:
            endpoint = Endpoint(
                "tfserving", "A server", "REST", "127.0.0.1", {"rest": port, "grpc": 1}, tmp_path
            )
            target = LoadTarget(endpoint, tmp_path / "rows.npz")
            LoadJob("digits", (), (target,), PLAN).write(tmp_path / "job.json")
            job = LoadJob.read(tmp_path / "job.json")
            assert job == LoadJob("digits", (), (target,), PLAN)
            return await do(job)

    return asyncio.run(run())


def test_a_job_measures_latency_then_throughput_of_every_number_of_clients(tmp_path: Path):
    latency, *throughput = run_job(tmp_path, expected())
    assert (latency["kind"], latency["server"], latency["protocol"]) == (
        "latency",
        "A server",
        "REST",
    )
    assert (latency["requests"], latency["wrong"]) == (12, 0)
    assert 0 < latency["p50_ms"] <= latency["p90_ms"] <= latency["p99_ms"]  # type: ignore[operator]
    assert [(row["kind"], row["clients"], row["wrong"]) for row in throughput] == [
        ("throughput", 1, 0),
        ("throughput", 3, 0),
    ]
    for row in throughput:
        assert row["requests"] > 0  # type: ignore[operator]
        assert row["seconds"] >= 2 * 0.05  # type: ignore[operator]
        assert row["requests_per_second"] > 0  # type: ignore[operator]
    json.dumps([latency, *throughput])


def test_a_job_counts_what_is_wrong(tmp_path: Path):
    permuted = {name: np.roll(rows, 1, axis=1) for name, rows in expected().items()}
    for row in run_job(tmp_path, permuted):
        assert row["wrong"] == row["requests"]
        assert str(row["problem"]).startswith("row 0")
