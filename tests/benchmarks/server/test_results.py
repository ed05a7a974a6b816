"""Medians over rounds; a wrong answer in any of them voids the figure."""

from __future__ import annotations

from benchmarks.server.results import Key, Measured, Results, Start
from tests.benchmarks.server.samples import seen


def test_the_median_round_counts() -> None:
    rounds = [seen(100, p99_ms=9.0), seen(300, p99_ms=3.0), seen(200, p99_ms=4.0)]
    measured = Measured.of(rounds)
    assert (measured.rate, measured.p99_ms, measured.rounds) == (200, 4.0, 3)
    assert not measured.client_bound


def test_one_round_with_too_few_answers_leaves_no_p99() -> None:
    measured = Measured.of([seen(500), seen(40, p99_ms=None), seen(600)])
    assert (measured.rate, measured.p99_ms) == (500, None)


def test_one_wrong_answer_in_one_round_voids_every_figure_of_the_cell() -> None:
    measured = Measured.of([seen(100), seen(300, wrong=1, problem="row 3: b'nan'"), seen(200)])
    assert (measured.rate, measured.p50_ms, measured.p99_ms) == (None, None, None)
    assert measured.cpu_seconds_per_1000 is None
    assert measured.void == "1 wrong: row 3: b'nan'"


def test_no_answer_at_all_is_no_figure_of_nought() -> None:
    assert Measured.of([seen(0)]).void == "no answer in time"


def test_a_busy_load_client_is_told() -> None:
    assert Measured.of([seen(), seen(client_cpu=0.9), seen()]).client_bound


def test_a_start_is_the_median_of_its_rounds_and_none_without_any() -> None:
    results = Results()
    results.starts["ray", "noop", True] = [Start(9.0, 10), Start(1.0, 30), Start(2.0, 20)]
    assert results.start_of("ray", "noop", True) == Start(2.0, 20)
    assert results.start_of("ray", "noop", False) is None


def test_json_keeps_every_round_and_every_failure() -> None:
    results = Results()
    key = Key("digits", "REST", False, 1, 8, "fastapi")
    results.cells[key] = [seen(100), seen(110)]
    results.failures["bentoml"] = "cannot be installed"
    stored = results.to_json()
    (cell,) = stored["cells"]
    assert (cell["server"], cell["clients"], cell["rate"]) == ("fastapi", 8, 105)
    assert [each["answers"] for each in cell["all"]] == [100, 110]
    assert stored["failures"] == {"bentoml": "cannot be installed"}
