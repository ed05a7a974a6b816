"""Closed-loop clients against a small real HTTP server that answers rightly, wrongly, or not at all."""

from __future__ import annotations

import pytest

from models.errors import Unreachable
from serving.load.closed_loop import ClosedLoop, Observed, run_closed_loop
from serving.load.ready import Ready
from serving.process import free_ports
from serving.wire.call import WireCall
from tests.serving.load.services import ROWS, Service, answer_to, check


def load(service: Service, clients: int, requests: int = 0, seconds: float = 20.0) -> Observed:
    with service.running():
        return run_closed_loop(
            service.calls(), check(), clients, requests=requests, seconds=seconds
        )


@pytest.mark.parametrize("clients", [1, 4])
def test_so_many_requests_are_sent_in_turn_and_all_are_right(clients: int) -> None:
    service = Service(delay_seconds=0.005)
    observed = load(service, clients, requests=23)
    assert (
        sorted(service.rows)[: 23 - clients]
        == sorted(number % ROWS for number in range(len(service.rows)))[: 23 - clients]
    )
    assert 23 <= observed.total <= 23 + clients
    assert observed.latencies_ms.min() >= 5
    assert (observed.wrong, observed.first_problem) == (0, "")
    assert observed.seconds > 0


def test_each_client_has_one_request_under_way_on_a_connection_of_its_own() -> None:
    service = Service(delay_seconds=0.005)
    load(service, 3, requests=30)
    assert service.most_at_once == 3
    assert len(service.connections) == 3


def test_a_time_is_kept_and_every_answer_is_waited_for() -> None:
    service = Service(delay_seconds=0.005)
    observed = load(service, 2, seconds=0.2)
    assert observed.seconds == 0.2
    assert observed.total == len(service.rows) > 2


@pytest.mark.parametrize(
    ("fewest", "longest_seconds", "least", "most"),
    [
        pytest.param(0, 60.0, 1, 1, id="none wanted"),
        pytest.param(40, 60.0, 4, 600, id="until enough came"),
        pytest.param(10**6, 0.3, 3, 3, id="not longer than that"),
    ],
)
def test_where_too_few_answers_came_the_time_is_given_again(
    fewest: int, longest_seconds: float, least: int, most: int
) -> None:
    """At 10 ms an answer there are 10 at most in 0.1 s."""
    service = Service(delay_seconds=0.01)
    with service.running():
        ready = Ready.of(service.calls())
        with ready.open(1) as lines:
            right = check().is_right
            loop = ClosedLoop(
                ready.requests, right, 0.1, fewest=fewest, longest_seconds=longest_seconds
            )
            observed = loop.run(lines)
    times = observed.seconds / 0.1
    assert times == pytest.approx(round(times)), "whole times, so that no answer chooses the end"
    assert least <= round(times) <= most
    assert len(observed.latencies_ms) >= fewest or longest_seconds == 0.3
    assert observed.latencies_ms.sum() <= observed.seconds * 1000


def test_every_wrong_answer_is_counted_and_the_first_is_told() -> None:
    wrong = Service(lambda number: (200, answer_to(4)) if number in (7, 11, 12) else None)
    observed = load(wrong, 1, requests=20)
    assert observed.wrong == 3
    assert observed.first_problem.startswith('request 2 was answered with b\'{"predictions"')


def test_an_error_is_a_wrong_answer_and_the_connection_goes_on() -> None:
    failing = Service(lambda number: (503, b"no worker") if number == 3 else None)
    observed = load(failing, 1, requests=10)
    assert (observed.wrong, observed.first_problem) == (1, "HTTP 503: no worker")
    assert observed.total >= 10


def test_a_server_that_only_talks_nonsense_is_not_asked_for_long() -> None:
    nonsense = Service(lambda number: (200, b"<html>"))
    observed = load(nonsense, 2, requests=10_000)
    assert 20 <= observed.wrong <= 22


def test_a_connection_that_is_closed_is_told() -> None:
    observed = load(Service(lambda number: (200, b"") if number == 5 else None), 1, requests=10)
    assert (observed.wrong, observed.total) == (1, 6)
    assert "closed by the server" in observed.first_problem


def test_nobody_there_is_an_error_that_names_the_address() -> None:
    (port,) = free_ports(1)
    call = WireCall("REST", f"http://127.0.0.1:{port}/", "", (), b"0")
    with pytest.raises(Unreachable, match=str(port)):
        run_closed_loop([call], check(), 2, requests=4)
