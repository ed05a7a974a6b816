"""An endpoint with its ready requests and the check of its answers."""

from __future__ import annotations

import statistics
from collections.abc import Mapping

import numpy as np

from models.arrays import read_arrays
from models.contract import Contract
from models.parity import Tolerance
from serving.load.answers import AnswerCheck
from serving.load.closed_loop import ClosedLoop, Observed
from serving.load.job import LoadTarget
from serving.load.ready import Ready
from serving.load.systems import Arriving, Waiting
from serving.load.window import Window, WindowPlan, ask_every_row, run_window
from serving.wire.call import WireCall

MOST_LINES = 64
"""In the Server scenario; what arrives while all are busy waits for one."""

STREAM_LINES = {"SingleStream": 1, "MultiStream": 8}


class LoadedEndpoint:
    """One endpoint, ready to be loaded.

    Args:
        target: where, and what is right.
        case: name of the case.
        contract: the case's.
        tolerance: how far an answer may be off.
    """

    def __init__(
        self, target: LoadTarget, case: str, contract: Contract, tolerance: Tolerance
    ) -> None:
        self.endpoint = target.endpoint
        self._case, self._contract = case, contract
        stored = read_arrays(target.rows)
        self._inputs = {spec.name: stored[f"inputs/{spec.name}"] for spec in contract.inputs}
        expected = {name: stored[f"expected/{name}"] for name in contract.output_names}
        self._client = target.endpoint.connect(case, contract)
        self.rows = len(next(iter(self._inputs.values())))
        self._answer_bytes: dict[int, int] = {}
        self._check = AnswerCheck(contract, expected, tolerance, self._client.read_answer)
        self.request_bytes = 0

    def ready(self) -> Ready:
        """The requests, made anew: a token in them lasts up to an hour."""
        calls = self.calls()
        self.request_bytes = int(statistics.median(len(call.body) for call in calls))
        return Ready.of(calls)

    def calls(self) -> list[WireCall]:
        """One request a row."""
        return [self._client.call_for(self._row(number)) for number in range(self.rows)]

    @property
    def answer_bytes(self) -> int:
        return int(statistics.median(self._answer_bytes.values())) if self._answer_bytes else 0

    def accuracy(self) -> tuple[int, str]:
        """Ask for every row once; how many answers were wrong, and the first of them."""
        ready = self.ready()
        with ready.open(1) as lines:
            system = Waiting(lines, ready.requests, self._is_right)
            ask_every_row(system, self.rows)
        return system.wrong, system.problem

    def closed_loop(self, clients: int, seconds: float) -> Observed:
        """Without LoadGen: to warm up, and to know about how fast it is."""
        ready = self.ready()
        with ready.open(clients) as lines:
            return ClosedLoop(ready.requests, self._check.is_right, seconds).run(lines)

    def window(self, plan: WindowPlan, clients: int = 0) -> Window:
        """One run of LoadGen; ``clients`` is for Offline."""
        ready = self.ready()
        if plan.scenario == "Server":
            with ready.open(MOST_LINES) as lines:
                arriving = Arriving(lines, ready.requests, self._check.is_right)
                return run_window(plan, arriving, self.rows)
        with ready.open(clients or STREAM_LINES[plan.scenario]) as lines:
            waiting = Waiting(lines, ready.requests, self._check.is_right)
            return run_window(plan, waiting, self.rows)

    def _row(self, number: int) -> Mapping[str, np.ndarray]:
        return {name: array[number : number + 1] for name, array in self._inputs.items()}

    def _is_right(self, row: int, body: bytes) -> bool:
        self._answer_bytes[row] = len(body)
        return self._check.is_right(row, body)
