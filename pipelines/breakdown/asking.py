"""Closed-loop clients of one endpoint, for parts that compare a server with itself; every answer is checked."""

from __future__ import annotations

from dataclasses import dataclass

from models.artifact import Manifest
from models.contract import Tensors
from models.dataset import Split
from pipelines.reference import Reference
from pipelines.workspace import Workspace
from serving.endpoints import Endpoint
from serving.load.answers import AnswerCheck
from serving.load.closed_loop import LONGEST_SECONDS, Observed, run_closed_loop
from serving.load.early_stopping import fewest_samples
from serving.wire.call import WireCall

ROWS = 64
"""Different rows that are sent in turn, one a request."""

P99_REQUESTS = fewest_samples(0.99)
"""Fewest requests for a 99th percentile: 459."""


@dataclass(frozen=True)
class Target:
    """An endpoint with ready requests and the check of its answers."""

    endpoint: Endpoint
    calls: list[WireCall]
    check: AnswerCheck

    def ask(self, clients: int, *, requests: int = 0, seconds: float = LONGEST_SECONDS) -> Observed:
        """Keep so many requests under way until a number of requests or a time is reached.

        Raises:
            Unreachable: nobody listens there.
        """
        return run_closed_loop(self.calls, self.check, clients, requests=requests, seconds=seconds)


def target_of(
    space: Workspace, manifest: Manifest, endpoint: Endpoint, answer: Tensors | None = None
) -> Target:
    """One-row requests of the test split.

    Args:
        space: the case.
        manifest: the version whose answers are right.
        endpoint: who is asked.
        answer: one row that is right instead, each (1, ...): a no-op model's.
    """
    case = space.case
    reference = Reference.of(space, endpoint.framework, manifest)
    split: Split = reference.split.rows(slice(0, ROWS))
    rows = len(split)
    expected = {
        name: array.repeat(rows, axis=0) if answer else array[:rows]
        for name, array in (answer or reference.test).items()
    }
    with endpoint.connect(case.name, case.contract) as client:
        calls = [client.call_for(split.rows(slice(row, row + 1)).inputs) for row in range(rows)]
        check = AnswerCheck(case.contract, expected, case.tolerances.float32, client.read_answer)
    return Target(endpoint, calls, check)
