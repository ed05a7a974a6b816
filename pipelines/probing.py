"""Clients that ask every endpoint all the while servers exchange a version, and judge each answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType

from models.contract import Tensors
from models.errors import ServerNotReady, TwinServeError
from models.parity import compare
from pipelines.facts import SwitchFacts
from pipelines.workspace import Workspace
from serving.endpoints import Client, Endpoint, Reachable, endpoints_of

POLL_SECONDS = 0.02
SETTLED = 20
"""Right answers of the new version after the switch before an endpoint counts as switched."""
LONGEST_JOIN_SECONDS = 60.0


@dataclass
class Seen:
    """What one endpoint answered so far; times are of ``time.monotonic``.

    ``alike`` says that both versions answer every row alike, so that answers cannot tell them apart.
    """

    endpoint: Endpoint
    old: int = 0
    new: int = 0
    either: int = 0
    failed: int = 0
    wrong: int = 0
    longest_seconds: float = 0.0
    first_problem: str = ""
    first_new_at: float | None = None
    last_old_at: float | None = None
    alike: bool = False
    ready: threading.Event = field(default_factory=threading.Event)

    def right(self) -> int:
        """How many answers were the new version's."""
        return self.new + (self.either if self.alike else 0)


class Probing:
    """Asks every endpoint, one row at a time and without a pause, until the block ends.

    Args:
        space: the case.
        servers: what to ask, over both protocols.
        rows: inputs, one row a request, in turn.
        expected: by server, the new version's outputs for these rows.

    The old version's outputs are what each endpoint itself answers before anything is changed.
    """

    def __init__(
        self,
        space: Workspace,
        servers: Sequence[Reachable],
        rows: Tensors,
        expected: Mapping[str, Tensors],
    ) -> None:
        self._space = space
        self._rows = rows
        self._expected = expected
        self._seen = [Seen(endpoint) for server in servers for endpoint in endpoints_of(server)]
        self._began: dict[str, float] = {}
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._ask, args=(seen,), daemon=True) for seen in self._seen
        ]

    def __enter__(self) -> Probing:
        """Start asking; returns when every endpoint has shown its old answers.

        Raises:
            ServerNotReady: an endpoint does not answer before anything is changed.
        """
        for thread in self._threads:
            thread.start()
        for seen in self._seen:
            if not seen.ready.wait(self._space.settings.startup_timeout_seconds) or (
                seen.first_problem and not seen.old
            ):
                self._end()
                raise ServerNotReady(
                    f"{seen.endpoint.title} does not answer: {seen.first_problem or 'no answer'}",
                    "Nothing was changed.",
                )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    def begin(self, server: str) -> None:
        """The server is told of the new version now."""
        self._began[server] = time.monotonic()

    def wait_for_new(self, server: str) -> None:
        """Wait until both endpoints of a server have shown that the new version answers rightly.

        Raises:
            ServerNotReady: one answers wrongly, or has not answered with it before the deadline.
        """
        deadline = time.monotonic() + self._space.settings.startup_timeout_seconds
        mine = [seen for seen in self._seen if seen.endpoint.server == server]
        before = {id(seen): seen.right() for seen in mine}
        for seen in mine:
            while seen.right() < before[id(seen)] + SETTLED:
                late = time.monotonic() > deadline
                if seen.wrong or late:
                    problem = "answers wrongly" if seen.wrong else "does not answer"
                    raise ServerNotReady(
                        f"{seen.endpoint.title} {problem} with the new version.",
                        f"{seen.wrong} wrong, {seen.failed} failed. {seen.first_problem}",
                    )
                time.sleep(POLL_SECONDS)

    def facts(self) -> list[SwitchFacts]:
        """One row an endpoint, once the block has ended."""
        return [self._facts(seen) for seen in self._seen]

    def _facts(self, seen: Seen) -> SwitchFacts:
        began = self._began.get(seen.endpoint.server)
        switched = None
        if began is not None and seen.first_new_at is not None:
            switched = max(0.0, max(seen.first_new_at, seen.last_old_at or 0.0) - began)
        return SwitchFacts(
            server=seen.endpoint.label,
            protocol=seen.endpoint.protocol,
            requests=seen.old + seen.new + seen.either + seen.failed + seen.wrong,
            old=seen.old,
            new=seen.new,
            either=seen.either,
            failed=seen.failed,
            wrong=seen.wrong,
            switch_seconds=switched,
            longest_ms=seen.longest_seconds * 1000,
            first_problem=seen.first_problem,
        )

    def _end(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(LONGEST_JOIN_SECONDS)

    def _ask(self, seen: Seen) -> None:
        """One endpoint's client: first the old answers, then row after row."""
        case, settings = self._space.case, self._space.settings
        count = len(next(iter(self._rows.values())))
        try:
            with seen.endpoint.connect(
                case.name, case.contract, settings.request_timeout_seconds
            ) as client:
                old = client.predict(self._rows)
                seen.old += 1
                seen.alike = self._agree(old, self._expected[seen.endpoint.server], slice(None))
                seen.ready.set()
                at = 0
                while not self._stop.is_set():
                    row = slice(at % count, at % count + 1)
                    self._ask_once(seen, client, row, old)
                    at += 1
        except TwinServeError as error:
            seen.failed += 1
            seen.first_problem = seen.first_problem or f"{type(error).__name__}: {error.message}"
        finally:
            seen.ready.set()

    def _ask_once(self, seen: Seen, client: Client, row: slice, old: Tensors) -> None:
        began = time.monotonic()
        try:
            answer = client.predict({k: v[row] for k, v in self._rows.items()})
        except TwinServeError as error:
            seen.failed += 1
            seen.first_problem = seen.first_problem or f"{type(error).__name__}: {error.message}"
            time.sleep(POLL_SECONDS)  # a server that is gone must not be asked in a busy loop
            return
        ended = time.monotonic()
        seen.longest_seconds = max(seen.longest_seconds, ended - began)
        is_new = self._agree(answer, self._expected[seen.endpoint.server], row)
        is_old = self._agree(answer, old, row)
        if is_new and is_old:
            seen.either += 1
        elif is_new:
            seen.new += 1
            seen.first_new_at = seen.first_new_at or ended
        elif is_old:
            seen.old += 1
            seen.last_old_at = ended
        else:
            seen.wrong += 1
            seen.first_problem = seen.first_problem or "An answer is neither version's."

    def _agree(self, answer: Tensors, wanted: Tensors, row: slice) -> bool:
        case = self._space.case
        try:
            held = {name: rows[row] for name, rows in wanted.items()}
            return compare(case.contract, held, answer, case.tolerances.float32).passed
        except TwinServeError:
            return False
