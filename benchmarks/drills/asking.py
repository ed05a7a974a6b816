"""Clients that ask running servers all the while, and hold every answer against the model in memory."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType

from models.contract import Tensors
from models.errors import ServerNotReady, TwinServeError
from models.parity import compare
from pipelines.workspace import Workspace
from serving.endpoints import Client, Endpoint, Reachable, endpoints_of

REQUEST_SECONDS = 3.0
"""A client's deadline for one request."""

PAUSE_SECONDS = 0.01
"""Between requests: the servers under drill share the machine with their clients."""

POLL_SECONDS = 0.02
JOIN_SECONDS = 60.0


@dataclass
class Seen:
    """What one endpoint answered so far; times are of ``time.monotonic``.

    Attributes:
        right: when each correctly answered request began and ended.
        failures: of each failed one, when it began and ended, its error's class, its message.
        unexpected: errors that are none of ours: a user would see a stack trace.
    """

    endpoint: Endpoint
    asked: int = 0
    wrong: int = 0
    right: list[tuple[float, float]] = field(default_factory=list)
    failures: list[tuple[float, float, str, str]] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)


class Asking:
    """Asks every endpoint of some servers, one row at a time, until the block ends.

    Args:
        space: the case.
        servers: what to ask, over both protocols.
        rows: inputs, one row a request, in turn.
        expected: by server, the outputs for these rows of the model in memory.
        threads: how many ask each endpoint, through one client.
    """

    def __init__(
        self,
        space: Workspace,
        servers: Sequence[Reachable],
        rows: Tensors,
        expected: Mapping[str, Tensors],
        threads: int = 1,
    ) -> None:
        self._space = space
        self._rows = rows
        self._expected = expected
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._clients: dict[str, Client] = {}
        self.seen = [Seen(endpoint) for server in servers for endpoint in endpoints_of(server)]
        self._threads = [
            threading.Thread(target=self._ask, args=(seen, number * 7), daemon=True)
            for seen in self.seen
            for number in range(threads)
        ]

    def __enter__(self) -> Asking:
        """Start asking; returns when every endpoint has answered.

        Raises:
            ServerNotReady: one does not, before anything was broken.
        """
        began = time.monotonic()
        for thread in self._threads:
            thread.start()
        if not self.wait(lambda seen: bool(seen.right or seen.wrong), REQUEST_SECONDS * 5):
            self._end()
            raise ServerNotReady(
                f"The servers do not answer before the drill: {self.first_failures(began)}"
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    def ask_in_turn(self) -> None:
        """Send every endpoint one request, one after the other; instead of the block."""
        for seen in self.seen:
            self._ask_once(seen, self._client_of(seen), slice(0, 1))

    def close(self) -> None:
        """End the clients' connections; a block does so itself."""
        while self._clients:
            self._clients.popitem()[1].close()

    def wait(self, is_so: Callable[[Seen], bool], seconds: float) -> bool:
        """Wait until something is so of every endpoint; False at the deadline.

        Args:
            is_so: told an endpoint's ``Seen``.
            seconds: the deadline, from now.
        """
        deadline = time.monotonic() + seconds
        while not all(is_so(seen) for seen in self.seen):
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_SECONDS)
        return True

    def wait_right(self, since: float, seconds: float) -> float | None:
        """Wait until every endpoint has answered a request that began after ``since`` correctly.

        Returns:
            when the last of them first did; None at the deadline.
        """
        if not self.wait(lambda seen: _first_right(seen, since) is not None, seconds):
            return None
        return max(_first_right(seen, since) or 0.0 for seen in self.seen)

    def wait_failed(self, since: float, seconds: float) -> bool:
        """Wait until a request to every endpoint that began after ``since`` has failed."""
        return self.wait(lambda seen: any(each[0] >= since for each in seen.failures), seconds)

    def first_failures(self, since: float = 0.0) -> str:
        """The first failure after ``since`` over each protocol, in the words that a client's user sees."""
        lines = []
        for seen in self.seen:
            found = [each for each in seen.failures if each[1] >= since]
            if found:
                lines.append(f"{seen.endpoint.protocol}: {found[0][2]}: {found[0][3]}")
        return "\n".join(lines)

    def failure_kinds(self) -> set[str]:
        """Names of the errors' classes."""
        return {each[2] for seen in self.seen for each in seen.failures}

    @property
    def longest_failure_seconds(self) -> float:
        return max(
            (end - began for seen in self.seen for began, end, *_ in seen.failures), default=0.0
        )

    @property
    def asked(self) -> int:
        return sum(seen.asked for seen in self.seen)

    @property
    def failed(self) -> int:
        return sum(len(seen.failures) for seen in self.seen)

    @property
    def wrong(self) -> int:
        return sum(seen.wrong for seen in self.seen)

    @property
    def problems(self) -> tuple[str, ...]:
        """Errors that are none of ours, once each."""
        return tuple(
            f"a client ended with {each}"
            for each in sorted({each for seen in self.seen for each in seen.unexpected})
        )

    def _end(self) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(JOIN_SECONDS)
        self.close()

    def _ask(self, seen: Seen, at: int) -> None:
        count = len(next(iter(self._rows.values())))
        client = self._client_of(seen)
        while not self._ended.wait(PAUSE_SECONDS):
            self._ask_once(seen, client, slice(at % count, at % count + 1))
            at += 1

    def _client_of(self, seen: Seen) -> Client:
        """The endpoint's client, made when it is first asked for."""
        case, endpoint = self._space.case, seen.endpoint
        with self._lock:
            if endpoint.title not in self._clients:
                self._clients[endpoint.title] = endpoint.connect(
                    case.name, case.contract, REQUEST_SECONDS
                )
            return self._clients[endpoint.title]

    def _ask_once(self, seen: Seen, client: Client, row: slice) -> None:
        began = time.monotonic()
        try:
            answer = client.predict({name: held[row] for name, held in self._rows.items()})
        except TwinServeError as error:
            self._note_failure(seen, began, error, error.message)
        except Exception as error:  # what a user would see as a stack trace is a finding
            self._note_failure(seen, began, error, str(error))
            seen.unexpected.append(f"{type(error).__name__}: {error}")
        else:
            right = self._is_right(answer, seen.endpoint.server, row)
            with self._lock:
                seen.asked += 1
                seen.wrong += not right
                if right:
                    seen.right.append((began, time.monotonic()))

    def _note_failure(self, seen: Seen, began: float, error: Exception, words: str) -> None:
        with self._lock:
            seen.asked += 1
            seen.failures.append((began, time.monotonic(), type(error).__name__, words))

    def _is_right(self, answer: Tensors, server: str, row: slice) -> bool:
        case = self._space.case
        wanted = {name: held[row] for name, held in self._expected[server].items()}
        try:
            return compare(case.contract, wanted, answer, case.tolerances.float32).passed
        except TwinServeError:
            return False


def _first_right(seen: Seen, since: float) -> float | None:
    return next((ended for began, ended in list(seen.right) if began >= since), None)
