"""Closed-loop clients: each sends its next request when it has the last one's answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from models.errors import RequestError, Unreachable
from serving.load.answers import AnswerCheck
from serving.load.senders import Sender, open_sender
from serving.wire.call import WireCall

MAX_UNREACHABLE = 50
"""Requests without any answer, after which there is no server to measure."""


@dataclass
class Observed:
    """What the clients saw.

    Attributes:
        latencies_ms: of every request, in the order of completion.
        wrong: answers that were not right, or no answers.
        seconds: from the first request to the last answer.
        first_problem: the first wrong answer, for people.
        unreachable: requests without any answer; they are among the wrong ones.
    """

    latencies_ms: list[float] = field(default_factory=list)
    wrong: int = 0
    seconds: float = 0.0
    first_problem: str = ""
    unreachable: int = 0


async def run_closed_loop(
    calls: list[WireCall],
    check: AnswerCheck,
    clients: int,
    *,
    requests: int | None = None,
    seconds: float | None = None,
) -> Observed:
    """Keep ``clients`` requests under way until a number of requests or a time is reached.

    Args:
        calls: the requests, sent in turn; call ``i`` is answered by row ``i`` of the check.
        check: judges every answer.
        clients: closed-loop clients, each with a connection of its own.
        requests: end after so many.
        seconds: end after so long; requests under way are waited for and counted.

    Raises:
        Unreachable: the server is gone.
    """
    observed = Observed()
    async with AsyncExitStack() as stack:
        senders = [
            await stack.enter_async_context(open_sender(calls[0].protocol)) for _ in range(clients)
        ]
        began = time.perf_counter()
        more = _budget(requests, None if seconds is None else began + seconds)
        await asyncio.gather(*(_client(sender, calls, check, more, observed) for sender in senders))
        observed.seconds = time.perf_counter() - began
    return observed


def _budget(requests: int | None, deadline: float | None) -> Callable[[], int | None]:
    """Hands out request numbers until the budget is spent."""
    number = 0

    def more() -> int | None:
        nonlocal number
        spent = requests is not None and number >= requests
        if spent or (deadline is not None and time.perf_counter() >= deadline):
            return None
        number += 1
        return number - 1

    return more


async def _client(
    sender: Sender,
    calls: list[WireCall],
    check: AnswerCheck,
    more: Callable[[], int | None],
    observed: Observed,
) -> None:
    while (number := more()) is not None:
        row = number % len(calls)
        began = time.perf_counter()
        try:
            answer = await sender.send(calls[row])
            elapsed = time.perf_counter() - began
            problem = "" if check.is_right(row, answer) else f"row {row}: {answer[:200]!r}"
        except Unreachable as error:
            observed.unreachable += 1
            if observed.unreachable > MAX_UNREACHABLE:
                raise
            elapsed, problem = time.perf_counter() - began, f"{error.status} {error.message}"
        except RequestError as error:
            elapsed, problem = time.perf_counter() - began, f"{error.status} {error.message}"
        observed.latencies_ms.append(elapsed * 1000)
        if problem:
            observed.wrong += 1
            observed.first_problem = observed.first_problem or problem
