"""A window that LoadGen ends early, since the system was faster than expected, is run once more."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from serving.load.job import LoadPlan
from serving.load.schedule import FASTER, Schedule
from serving.load.window import Window, WindowPlan

EARLY = "it ended before its time"
PLAN = LoadPlan(
    True, 1, 0.1, 0.1, 0.1, 0.1, scenarios=("SingleStream",), sweep=(), warmup_seconds=0
)


class Endpoint:
    """Answers 400 requests a second where 100 were expected; so many windows end early."""

    endpoint = SimpleNamespace(protocol="REST")
    rows = request_bytes = answer_bytes = 1

    def __init__(self, early: int) -> None:
        self.early = early
        self.plans: list[WindowPlan] = []

    def accuracy(self) -> tuple[int, str]:
        return 0, ""

    def closed_loop(self, _clients: int, _seconds: float) -> Any:
        return SimpleNamespace(total=1, rate=100.0)

    def window(self, plan: WindowPlan, _clients: int = 0) -> Window:
        self.plans.append(plan)
        reasons = (EARLY,) if len(self.plans) <= self.early else ()
        validity = "INVALID" if reasons else "VALID"
        none = np.zeros(0)
        return Window(none, 1, 0.1, 400.0, 0, "", validity, reasons, 0.1, none)


@pytest.mark.parametrize(
    ("early", "runs", "word"), [(0, 1, "VALID"), (1, 2, "VALID"), (9, 2, "INVALID")]
)
def test_a_window_that_ended_early_has_one_more_try(
    early: int, runs: int, word: str, tmp_path: Path
) -> None:
    loaded: Any = Endpoint(early)
    told: list[dict[str, Any]] = []
    Schedule([loaded], PLAN, tmp_path, told.append).run()
    assert [plan.rate for plan in loaded.plans] == [100.0, 400.0 * FASTER][:runs]
    assert told[-1]["validity"] == word
    assert sum(step["kind"] == "window" for step in told) == 1
