"""The embedded server's goals: against whom, in which cell, and what counts where something is missing."""

from __future__ import annotations

import dataclasses

import pytest

from benchmarks.figures import Figure
from benchmarks.server.contestants import BY_NAME
from benchmarks.server.goals import contests, figures_of
from benchmarks.server.limits import Edges, InProcess, Limits
from benchmarks.server.load.job import Seen
from benchmarks.server.results import Key, Results, Start
from tests.benchmarks.server.samples import seen

CALL = InProcess(
    call_ms={1: 0.3, 32: 0.5, 2000: 20.0},
    way={1: "session", 32: "session", 2000: "session"},
    large_rows=2000,
    large_bytes=2**20,
    large_parse_ms=10.0,
    import_seconds=4.0,
)


def key(server: str = "embedded", **other: object) -> Key:
    values = {"subject": "digits", "protocol": "REST", "batching": False, "batch": 1, "clients": 8}
    return Key(server=server, **{**values, **other})  # type: ignore[arg-type]


def edges(**other: object) -> Edges:
    values: dict[str, object] = {
        "large": seen(p50_ms=50.0),
        "many": {"REST": seen(900), "gRPC": seen(900)},
        "early_bytes": 100,
        "late_bytes": 104,
        "late_requests": 200_000,
    }
    return Edges(**{**values, **other})  # type: ignore[arg-type]


def found(figures: list[Figure], part: str) -> Figure:
    (figure,) = [each for each in figures if part in each.name]
    return figure


def run(cells: dict[Key, Seen], limits: Limits | None = None) -> list[Figure]:
    results = Results()
    results.cells = {key: [seen] for key, seen in cells.items()}
    results.starts["embedded", "digits", False] = [Start(5.4, 10**8)]
    return figures_of(results, limits or Limits(CALL, edges()))


def test_the_best_peer_counts_and_the_worst_cell_decides() -> None:
    figures = run(
        {
            key(clients=1): seen(3000),
            key("fastapi", clients=1): seen(1000),
            key(clients=8): seen(2000, p99_ms=6.0),
            key("fastapi", clients=8): seen(1600, p99_ms=5.0),
            key("litserve", clients=8): seen(500, p99_ms=1.0),
        }
    )
    rate = found(figures, "digits, REST: requests a second, of")
    assert (rate.value, rate.met) == (1.25, False)
    assert rate.note == "1 rows, 8 clients, against fastapi"
    p99 = found(figures, "digits, REST: p99, of")
    assert (p99.value, p99.met) == (1.2, False)


def test_a_cell_with_too_few_answers_for_a_p99_is_no_contest_of_p99() -> None:
    slow = {key(batch=32): seen(80, p99_ms=9.0), key("fastapi", batch=32): seen(70, p99_ms=None)}
    figures = run({key(): seen(3000), key("fastapi"): seen(1000), **slow})
    p99 = found(figures, "digits, REST: p99, of")
    assert (p99.value, p99.met) == (1.0, True)
    assert p99.note == "1 rows, 8 clients, against fastapi; 1 more with too few answers"
    alone = found(run(slow), "digits, REST: p99, of")
    assert (alone.value, alone.met, alone.note) == (None, False, "too few answers for a p99")
    assert found(run(slow), "digits, REST: requests a second, of").value == pytest.approx(80 / 70)


def test_the_twin_and_the_reference_are_no_python_peers() -> None:
    cells = {key(): seen(1000), key("torchserve"): seen(900), key("fastapi-session"): seen(900)}
    assert {BY_NAME[name].kind for name in ("torchserve", "fastapi-session")} == {
        "twin",
        "reference",
    }
    rate = found(run(cells), "digits, REST: requests a second, of")
    assert (rate.value, rate.met, rate.note) == (None, False, "no peer to compare with")


def test_a_void_peer_is_no_rival_and_a_void_figure_of_ours_is_a_defeat() -> None:
    peers = {key("fastapi"): seen(100), key("bentoml"): seen(5000, wrong=1, problem="nan")}
    rate = found(run({key(): seen(1000), **peers}), "REST: requests a second, of")
    assert (rate.value, rate.note) == (10.0, "1 rows, 8 clients, against fastapi")
    lost = found(run({key(): seen(1000, wrong=1), **peers}), "REST: requests a second, of")
    assert (lost.value, lost.met) == (0.0, False)


def test_with_batching_a_peer_without_it_competes_as_it_is() -> None:
    results = Results()
    results.cells = {
        key(batching=True, clients=32): [seen(4000)],
        key("fastapi", clients=32): [seen(1000)],
        key("litserve", batching=True, clients=32): [seen(800)],
        key("litserve", clients=32): [seen(3000)],  # its own figure without batching does not count
    }
    (contest,) = contests(results.measured(), "digits", "REST", True)
    assert (contest.peer, contest.rate_ratio) == ("fastapi", 4.0)


def test_the_batching_goal_is_that_of_one_row_from_the_most_clients() -> None:
    cells = {
        key(batching=True, clients=1): seen(100),
        key("litserve", batching=True, clients=1): seen(1000),
        key(batching=True, clients=32): seen(3000),
        key("litserve", batching=True, clients=32): seen(1000),
        key(batching=True, clients=32, batch=32): seen(10),
        key("litserve", batching=True, clients=32, batch=32): seen(1000),
        key(clients=32): seen(2000),
    }
    figures = run(cells)
    assert found(figures, "requests a second with batching").value == 3.0
    gain = found(figures, "digits, REST: batching on, of off")
    assert (gain.value, gain.met) == (1.5, True)


def test_grpc_is_held_against_the_call_alone() -> None:
    figures = run({key(protocol="gRPC", clients=1): seen(p50_ms=0.95)})
    over = found(figures, "digits, gRPC: p50 over the call")
    assert (over.value, over.met) == (pytest.approx(0.65), False)


def test_32_rows_at_8_clients_are_held_against_the_throughput_of_the_call() -> None:
    figures = run({key(protocol="gRPC", batch=32): seen(1500), key(batch=32): seen(1000)})
    share = found(figures, "digits, gRPC: 32 rows, 8 clients")
    assert (share.value, share.met) == (0.75, True)  # 0.5 ms a call: 2,000 a second
    assert found(figures, "digits, REST: 32 rows, 8 clients").met is False


@pytest.mark.parametrize(
    ("changed", "part", "value", "met"),
    [
        ({}, "1 MB of JSON", 0.6, True),
        ({"large": seen(p50_ms=100.0)}, "1 MB of JSON", 0.3, False),
        ({"large": seen(p50_ms=1.0, wrong=1, problem="x")}, "1 MB of JSON", None, False),
        ({}, "memory after", 1.04, True),
        ({"late_bytes": 106}, "memory after", 1.06, False),
        ({"steady_wrong": "HTTP 500"}, "memory after", None, False),
        ({}, "REST: simultaneous", 0, True),
        ({"many": {"REST": seen(wrong=2), "gRPC": seen()}}, "REST: simultaneous", 2, False),
        ({"many": {"REST": seen(0), "gRPC": seen()}}, "REST: simultaneous", None, False),
    ],
)
def test_edges(changed: dict[str, object], part: str, value: float | None, met: bool) -> None:
    figure = found(run({}, Limits(CALL, edges(**changed))), part)
    assert (figure.value, figure.met) == (value, met)


def test_ready_counts_from_tensorflows_own_import() -> None:
    figure = found(run({}), "ready after")
    assert (figure.value, figure.met) == (pytest.approx(1.4), True)


def test_what_was_not_measured_is_not_met() -> None:
    figures = figures_of(Results(), Limits())
    assert figures
    assert {figure.met for figure in figures} == {False}


def test_a_goal_beyond_what_the_model_itself_can_do_is_not_met_and_says_so() -> None:
    limit = dataclasses.replace(CALL, heavy_rate={1: 300.0, 32: 80.0})
    cells = {
        key(subject="mlp", batch=32): seen(78),
        key("fastapi", subject="mlp", batch=32): seen(75),
        key(subject="mlp", batching=True, clients=32): seen(1500),
        key("litserve", subject="mlp", batching=True, clients=32): seen(500),
    }
    figures = run(cells, Limits(limit, edges()))
    off = found(figures, "mlp, REST: requests a second, of")
    assert off.met is False
    assert off.note.endswith("the goal, 112 a second, is beyond the bare call's 80")
    on = found(figures, "mlp, REST: requests a second with batching")
    assert (on.met, "beyond" in on.note) == (True, False)  # 32 rows at once: up to 2,560 a second
    digits = found(
        run({key(): seen(10), key("fastapi"): seen(10)}, Limits(limit, edges())),
        "REST: requests a second, of",
    )
    assert (digits.met, "beyond" in digits.note) == (False, False)


@pytest.mark.parametrize(
    ("clients", "peer", "said"),
    [
        (1, 150, "the goal, 225 a second, is beyond the bare call's 200 to one caller"),
        (
            1,
            125,
            "the goal, 188 a second, is beyond 182: ",
        ),  # 5 ms, and 0.5 of the client's after it
        (1, 120, ""),
        (8, 150, ""),
    ],
)
def test_one_client_can_have_no_more_than_one_caller_has(
    clients: int, peer: float, said: str
) -> None:
    limit = dataclasses.replace(
        CALL, heavy_rate={1: 300.0}, heavy_rate_of_one={1: 200.0}, processors=2
    )
    cells = {
        key(subject="mlp", clients=clients): seen(130, client_cpu=0.065),
        key("fastapi", subject="mlp", clients=clients): seen(peer),
    }
    figure = found(run(cells, Limits(limit, edges())), "mlp, REST: requests a second, of")
    assert figure.met is False
    assert said in figure.note
    assert bool(said) == ("beyond" in figure.note)


def test_what_the_client_and_a_server_without_a_model_take_is_left_out_of_what_can_be_reached() -> (
    None
):
    limit = dataclasses.replace(CALL, heavy_rate={1: 300.0, 32: 80.0}, processors=2)
    cells = {
        key(subject="mlp", batching=True): seen(1000, client_cpu=0.1),
        key("litserve", subject="mlp", batching=True): seen(800),
    }
    name = "mlp, REST: requests a second with batching, of"
    alone = found(run(cells, Limits(limit, edges())), name)
    # 32 rows at once: 2,560 a second by the bare call; 0.1 ms of the client's on two processors: 2,270
    assert (alone.met, "beyond" in alone.note) == (False, True)
    assert "the goal, 2,400 a second, is beyond 2,270: " in alone.note
    cells[key(subject="noop", batching=True)] = seen(9000, cpu_seconds_per_1000=0.2)
    beside = found(run(cells, Limits(limit, edges())), name)
    assert "is beyond 1,850: what the processors can do beside the 0.30 ms" in beside.note
    cells[key("litserve", subject="mlp", batching=True)] = seen(600)
    reachable = found(run(cells, Limits(limit, edges())), name)
    assert (reachable.met, "beyond" in reachable.note) == (False, False)
