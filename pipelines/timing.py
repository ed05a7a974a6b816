"""Where a run's time goes: every stage's own time, and the longest chain of stages that wait for one another."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from pipelines.facts import StageTiming, Timings


class Stopwatch:
    """Times the stages of one run; safe to use from the threads that they run in."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._lock = threading.Lock()
        self._stages: dict[str, StageTiming] = {}

    @contextmanager
    def stage(self, name: str, after: Sequence[str] = ()) -> Iterator[None]:
        """Time a stage that waits for the stages ``after``."""
        started = time.monotonic()
        try:
            yield
        finally:
            ended = time.monotonic()
            self._add(name, after, started - self._began, ended - started, cached=False)

    def now(self) -> float:
        """Seconds since the run's start."""
        return time.monotonic() - self._began

    def reused(self, name: str, after: Sequence[str], at_seconds: float) -> None:
        """Note a stage whose earlier result was taken, and when in the run."""
        self._add(name, after, at_seconds, 0.0, cached=True)

    def timings(self) -> Timings:
        """The run so far."""
        with self._lock:
            stages = sorted(self._stages.values(), key=lambda stage: stage.started)
        return Timings(
            stages=stages,
            wall_seconds=self.now(),
            critical_path_seconds=critical_path(stages),
        )

    def _add(
        self, name: str, after: Sequence[str], started: float, seconds: float, *, cached: bool
    ) -> None:
        with self._lock:
            if cached and name in self._stages:
                return
            self._stages[name] = StageTiming(
                stage=name, seconds=seconds, cached=cached, started=started, after=list(after)
            )


def critical_path(stages: Sequence[StageTiming]) -> float:
    """Seconds of the longest chain; a stage that is waited for but was not timed counts nothing."""
    by_name = {stage.stage: stage for stage in stages}
    longest: dict[str, float] = {}

    def until(name: str) -> float:
        if name not in by_name:
            return 0.0
        if name not in longest:
            stage = by_name[name]
            longest[name] = stage.seconds + max((until(each) for each in stage.after), default=0.0)
        return longest[name]

    return max((until(name) for name in by_name), default=0.0)
