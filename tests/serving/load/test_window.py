"""LoadGen against a real HTTP server: four scenarios, and everything that must void or invalidate a run."""

from __future__ import annotations

import json
import re
from pathlib import Path

import mlperf_loadgen
import numpy as np
import pytest

from models.parity import Tolerance
from models.predictor import Signature
from serving.load import window as window_module
from serving.load.early_stopping import estimate
from serving.load.ready import Ready
from serving.load.systems import Answering, Arriving, Waiting
from serving.load.window import Scenario, Window, WindowPlan, ask_every_row, run_window
from tests.serving.load.services import CONTRACT, ROWS, Service, answer_to, check, expected

SCENARIOS: tuple[Scenario, ...] = ("SingleStream", "MultiStream", "Server", "Offline")
LINES: dict[Scenario, int] = {"SingleStream": 1, "MultiStream": 8, "Server": 16, "Offline": 3}


def plan(scenario: Scenario, rate: float = 150.0, **more: float) -> WindowPlan:
    defaults = {"bound_ms": 1000.0, "percentile": 0.5, "seed": 3}
    expected_rate = rate if scenario == "Server" else 10 * rate
    return WindowPlan(scenario, 0.3, expected_rate, **{**defaults, **more})  # type: ignore[arg-type]


def load(service: Service, chosen: WindowPlan, lines: int = 0) -> Window:
    with service.running():
        ready = Ready.of(service.calls())
        kind = Arriving if chosen.scenario == "Server" else Waiting
        with ready.open(lines or LINES[chosen.scenario]) as opened:
            return run_window(chosen, kind(opened, ready.requests, check().is_right), ROWS)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_right_answers_are_valid_in_every_scenario(scenario: Scenario) -> None:
    service = Service(delay_seconds=0.002)
    seen = load(service, plan(scenario))
    assert (seen.validity, seen.reasons, seen.wrong) == ("VALID", (), 0)
    assert seen.requests == len(service.rows)
    assert set(service.rows) == set(range(ROWS))
    queries = {"MultiStream": seen.requests // 8, "Offline": 0}
    assert len(seen.latencies) == queries.get(scenario, seen.requests)
    assert all(latency >= 0.002 for latency in seen.latencies)
    assert seen.rate > 0
    assert service.most_at_once <= LINES[scenario]


def test_the_offered_load_is_what_loadgen_scheduled() -> None:
    """Poisson arrivals of 0.3 s are off what was asked for; LoadGen tells what they were."""
    seen = load(Service(), plan("Server", rate=150.0))
    assert seen.offered
    assert seen.offered != 150.0
    assert seen.offered == pytest.approx(150.0, rel=0.5)
    assert load(Service(), plan("Offline")).offered is None


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_one_wrong_answer_voids_the_run(scenario: Scenario) -> None:
    """The saboteur answers row 4 to whoever asks for another one, once."""

    def spoil(number: int) -> tuple[int, bytes] | None:
        return (200, answer_to(4)) if number in (20, 21, 22) else None

    seen = load(Service(spoil, delay_seconds=0.001), plan(scenario))
    assert seen.validity == "VOID"
    assert 1 <= seen.wrong <= 3
    assert "was answered with" in seen.reasons[0]


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_server_that_hangs_up_voids_the_run_and_the_run_ends(scenario: Scenario) -> None:
    seen = load(Service(lambda number: (200, b"") if number > 10 else None), plan(scenario))
    assert seen.validity == "VOID"
    assert seen.wrong > 0


def test_the_bound_that_is_not_kept_makes_it_invalid() -> None:
    slow = Service(delay_seconds=0.02)
    seen = load(slow, plan("Server", bound_ms=1.0))
    assert seen.validity == "INVALID"
    assert "the latency bound was not kept" in seen.reasons


def test_a_server_faster_than_expected_runs_out_of_queries_and_loadgen_says_so() -> None:
    seen = load(Service(), plan("Offline", rate=10.0))
    assert (seen.validity, seen.reasons) == ("INVALID", ("it ended before its time",))


def test_latency_counts_from_when_a_query_was_due() -> None:
    """One line, 20 ms an answer, 150 queries a second: what waits is late, though the server is not."""
    seen = load(Service(delay_seconds=0.02), plan("Server"), lines=1)
    assert np.median(seen.latencies) > 0.1
    assert seen.latencies.max() > 0.4


def test_the_same_seed_makes_the_same_arrivals(tmp_path: Path) -> None:
    """Over one line, for those on two may overtake each other."""
    one, other = Service(), Service()
    load(one, plan("Server", seed=11), lines=1)
    load(other, plan("Server", seed=11), lines=1)
    assert one.rows[:20] == other.rows[:20]
    third = Service()
    load(third, plan("Server", seed=12), lines=1)
    assert third.rows[:20] != one.rows[:20]


def test_accuracy_mode_asks_for_every_row_once() -> None:
    wrong = Service(lambda number: (200, answer_to(4)) if number == 2 else None)
    with wrong.running():
        ready = Ready.of(wrong.calls())
        with ready.open(1) as lines:
            system = Waiting(lines, ready.requests, check().is_right)
            ask_every_row(system, ROWS)
    assert sorted(wrong.rows) == list(range(ROWS))
    assert system.wrong == 1 or wrong.rows[2] == 4


def test_our_estimate_is_loadgens_own(monkeypatch: pytest.MonkeyPatch) -> None:
    said: dict[str, object] = {}
    read = window_module._read_detail
    monkeypatch.setattr(window_module, "_read_detail", lambda path: said.update(read(path)) or said)
    seen = load(Service(delay_seconds=0.001), plan("SingleStream", percentile=0.9))
    found = estimate(np.rint(seen.latencies * 1e9), 0.9)
    assert found is not None
    assert (found[0], found[1]) == (
        said["result_90.00_percentile_latency_ns"],
        said["early_stopping_latency_ss"],
    )


class InMemory:
    """A Predictor that knows the answers, and gives one of them wrongly."""

    def __init__(self, wrong_row: int = -1) -> None:
        self._wrong_row = wrong_row

    def signature(self) -> Signature:
        raise NotImplementedError

    def predict(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        row = int(inputs["image"][0, 0, 0, 0])
        given = 0 if row == self._wrong_row else row
        return {name: rows[given : given + 1] for name, rows in expected().items()}

    def close(self) -> None:
        """Nothing to close."""


@pytest.mark.parametrize(("wrong_row", "word"), [(-1, "VALID"), (3, "VOID")])
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_any_predictor_can_be_driven(scenario: Scenario, wrong_row: int, word: str) -> None:
    images = np.zeros((ROWS, 8, 8, 1), np.float32) + np.arange(ROWS).reshape(-1, 1, 1, 1)
    system = Answering(
        InMemory(wrong_row),  # type: ignore[arg-type]
        CONTRACT,
        {"image": images.astype(np.float32)},
        expected(),
        Tolerance(atol=1e-6),
    )
    rate = 5000.0
    assert run_window(plan(scenario, rate=rate), system, ROWS).validity == word


def test_the_engine_is_mlperfs_own() -> None:
    assert Path(mlperf_loadgen.__file__).name.startswith("mlperf_loadgen")
    assert re.fullmatch(r"MLPerf LoadGen \d+\.\d+\.\d+", window_module.ENGINE)
    json.dumps(window_module.ENGINE)
