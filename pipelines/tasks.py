"""How a stage becomes a Prefect task: timed, cached by the digest of its inputs, retried where a server is."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from prefect import task
from prefect.futures import PrefectFuture

from models.errors import PortInUse, ServerError, ServerMissing, Unreachable, VersionSkew
from pipelines.facts import Timings
from pipelines.timing import Stopwatch
from pipelines.workspace import Workspace, log

RETRY_DELAY_SECONDS = 2


class Run:
    """One run's tasks. Stages are plain functions of a Workspace; see ``flow.py`` for the order.

    Args:
        space: handed to every stage as its first argument.
        label: what this run's tasks are about, where a flow has several; shown in Prefect's UI.
    """

    def __init__(self, space: Workspace, label: str = "") -> None:
        log.setLevel(min(log.level or logging.INFO, logging.INFO))  # else Prefect's UI gets none
        self.space = space
        self._suffix = f" · {label}" if label else ""
        self._clock = Stopwatch()
        self._submitted: list[tuple[str, Sequence[str], float, PrefectFuture[Any]]] = []

    def submit(
        self,
        stage: Callable[..., Any],
        *arguments: Any,
        of: str = "",
        after: Sequence[str] = (),
        key: str = "",
        made: Path | None = None,
        refresh: bool = False,
        retries: int = 0,
    ) -> PrefectFuture[Any]:
        """Run a stage in a thread of its own, once the futures among its arguments are done.

        Args:
            stage: the plain function; called with the workspace and ``arguments``.
            of: the framework or server that it is about, for its name.
            after: names of the stages it waits for, for the critical path.
            key: digest of its inputs; with one, its result is kept and taken again.
            made: what it leaves on the disk; where that is gone, a kept result is not taken.
            refresh: do not take a kept result.
            retries: how often to try again after trouble with a server.
        """
        name = f"{stage.__name__} {of}".strip()

        def timed(*resolved: Any) -> Any:
            with self._clock.stage(name, after):
                return stage(self.space, *resolved)

        gone = made is not None and not made.exists()
        future: PrefectFuture[Any] = task(
            name=name,
            task_run_name=name + self._suffix,
            cache_key_fn=(lambda *_: f"{name.replace(' ', '-')}-{key}") if key else None,
            refresh_cache=refresh or gone or self.space.fresh,
            persist_result=bool(key),
            result_serializer="json" if key else None,
            retries=retries,
            retry_delay_seconds=RETRY_DELAY_SECONDS,
            retry_condition_fn=_may_pass,
        )(timed).submit(*arguments)
        self._submitted.append((name, after, self._clock.now(), future))
        return future

    def was_reused(self, future: PrefectFuture[Any]) -> bool:
        """Whether a finished task's kept result was taken."""
        return future.state.name == "Cached"

    def timings(self) -> Timings:
        """Where the time went so far."""
        for name, after, at_seconds, future in self._submitted:
            if self.was_reused(future):
                self._clock.reused(name, after, at_seconds)
        return self._clock.timings()


def _may_pass(_task: Any, _run: Any, state: Any) -> bool:
    """Only trouble that another attempt may not meet again."""
    error = state.result(raise_on_failure=False)
    lasting = isinstance(error, ServerMissing | PortInUse | VersionSkew)
    return isinstance(error, ServerError | Unreachable) and not lasting
