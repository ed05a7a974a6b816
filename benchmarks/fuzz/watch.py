"""What a server must not do meanwhile: end, grow, keep files open, write stack traces."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from benchmarks.fuzz.findings import Findings
from benchmarks.fuzz.inputs.input import Input
from benchmarks.fuzz.oracles import Oracle, Problem

MOST_FILES_MORE = 20
"""Connections come and go; after the clients' ends are closed, so many may still be on their way."""

_SETTLE_SECONDS = 5.0
_TRACES = (b"Traceback (most recent call last)", b"Fatal Python error", b"Check failed:")
_SHOWN_BYTES = 1500


class Asked(Protocol):
    """What is known of a subject from outside."""

    def is_alive(self) -> bool: ...
    def how_it_ended(self) -> str: ...
    def memory_bytes(self) -> int: ...
    def open_files(self) -> int: ...
    def log_from(self, offset: int) -> bytes: ...


class Watch:
    """Looks at one subject.

    Args:
        subject: what is looked at.
        findings: takes what is found.
        growth_bytes: by how much it may grow.
    """

    def __init__(self, subject: Asked, findings: Findings, growth_bytes: int) -> None:
        self._subject, self._findings = subject, findings
        self._growth_bytes = growth_bytes
        self._memory_bytes = subject.memory_bytes()
        self._files = subject.open_files()
        self._log_read = len(subject.log_from(0))

    def start(self) -> None:
        """From now on its memory counts; what every server loads or fills at first is there."""
        self._memory_bytes = self._subject.memory_bytes()

    def add_death(self, target: str, chunk: int, suspects: Sequence[Input]) -> None:
        """It has ended over one of these inputs."""
        last = self._subject.log_from(0)[-_SHOWN_BYTES:].decode(errors="replace")
        words = f"{self._subject.how_it_ended()} The end of its log:\n{last}"
        problem = Problem(Oracle.DIED, words)
        self._findings.add(problem, target, chunk, suspects)

    def read_log(self, target: str, chunk: int, inputs: Sequence[Input]) -> None:
        """Look for stack traces in what it has said since the last time."""
        said = self._subject.log_from(self._log_read)
        self._log_read += len(said)
        places = [said.find(trace) for trace in _TRACES if trace in said]
        if places:
            shown = said[min(places) : min(places) + _SHOWN_BYTES].decode(errors="replace")
            self._findings.add(Problem(Oracle.LOG, f"in its log: {shown}"), target, chunk, inputs)

    def end(self) -> tuple[int, int]:
        """Look for the last time, when nothing is sent any more.

        Returns:
            bytes of memory at the start and now.
        """
        if not self._subject.is_alive():
            return self._memory_bytes, 0
        most = self._files + MOST_FILES_MORE
        if not comes_true(lambda: self._subject.open_files() <= most):
            words = f"{self._subject.open_files()} open files, {self._files} at the start"
            self._findings.add(Problem(Oracle.FILES, words), "whole run", -1, ())
        memory_bytes = self._subject.memory_bytes()
        if memory_bytes - self._memory_bytes > self._growth_bytes:
            sizes = f"{self._memory_bytes >> 20} to {memory_bytes >> 20} MiB"
            words = f"its memory grew from {sizes}; {self._growth_bytes >> 20} MiB are allowed"
            self._findings.add(Problem(Oracle.MEMORY, words), "whole run", -1, ())
        return self._memory_bytes, memory_bytes


def comes_true(is_so: Callable[[], bool]) -> bool:
    """Wait a little until it is so."""
    deadline = time.monotonic() + _SETTLE_SECONDS
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
