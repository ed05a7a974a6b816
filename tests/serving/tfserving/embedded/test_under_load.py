"""A real server over both protocols, driven by LoadGen as `make measure` does it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.contract import Contract
from models.parity import Tolerance
from serving.endpoints import PROTOCOLS, endpoints_of
from serving.load.job import LoadTarget
from serving.load.loaded import LoadedEndpoint
from serving.load.window import Scenario, WindowPlan
from serving.process import ProcessServer

MODEL = "digits"


def loaded(
    server: ProcessServer,
    contract: Contract,
    reference: dict[str, np.ndarray],
    protocol: str,
    folder: Path,
    roll: int = 0,
) -> LoadedEndpoint:
    """The endpoint; ``roll`` shifts what is expected to other rows."""
    expected = {
        f"expected/{name}": np.roll(reference[name], roll, axis=0) for name in contract.output_names
    }
    np.savez(folder / "rows.npz", **{"inputs/image": reference["image"]}, **expected)
    (endpoint,) = [each for each in endpoints_of(server.spec) if each.protocol == protocol]
    target = LoadTarget(endpoint, folder / "rows.npz")
    return LoadedEndpoint(target, MODEL, contract, Tolerance(atol=1e-4, rtol=1e-4))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_scenario_is_valid_and_every_answer_right(
    server: ProcessServer,
    contract: Contract,
    reference: dict[str, np.ndarray],
    protocol: str,
    tmp_path: Path,
) -> None:
    endpoint = loaded(server, contract, reference, protocol, tmp_path)
    assert endpoint.accuracy() == (0, "")
    assert endpoint.request_bytes > 0
    assert endpoint.answer_bytes > 0
    rate = endpoint.closed_loop(4, 0.3).rate
    plans: dict[Scenario, tuple[float, int]] = {
        "SingleStream": (rate, 0),
        "MultiStream": (rate, 0),
        "Server": (rate / 4, 0),
        "Offline": (rate * 3, 4),
    }
    for scenario, (expected_rate, clients) in plans.items():
        plan = WindowPlan(scenario, 0.2, expected_rate, bound_ms=5000, percentile=0.5, seed=1)
        seen = endpoint.window(plan, clients)
        assert (scenario, seen.validity, seen.reasons) == (scenario, "VALID", ())
        assert seen.wrong == 0
        assert seen.requests > 0


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_answers_of_other_rows_are_wrong_in_accuracy_mode_and_void_under_load(
    server: ProcessServer,
    contract: Contract,
    reference: dict[str, np.ndarray],
    protocol: str,
    tmp_path: Path,
) -> None:
    endpoint = loaded(server, contract, reference, protocol, tmp_path, roll=1)
    wrong, problem = endpoint.accuracy()
    assert wrong == len(reference["image"])
    assert "was answered with" in problem
    seen = endpoint.window(WindowPlan("SingleStream", 0.2, 1000.0, percentile=0.5))
    assert seen.validity == "VOID"
