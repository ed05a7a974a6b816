"""Our parsers in a process of their own: one that ends or never ends takes nobody with it."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.fuzz.inputs.input import Input
from benchmarks.fuzz.lanes.answer import Answer, Came

PROJECT = Path(__file__).resolve().parents[3]
_START_SECONDS = 60.0
_END_SECONDS = 2.0


class ParsingLane:
    """Hands inputs to ``python -m benchmarks.fuzz.parsers``, which is started again when it has ended.

    Args:
        deadline_seconds: longest wait for a verdict.
        module: what to run; reads frames, writes a line for each, and one at its start.
    """

    def __init__(self, deadline_seconds: float, module: str = "benchmarks.fuzz.parsers") -> None:
        self._deadline_seconds = deadline_seconds
        self._module = module
        self._process: subprocess.Popen[bytes] | None = None
        self._lines = b""

    def ask(self, inputs: Sequence[Input]) -> list[Answer]:
        return [self._ask(each) for each in inputs]

    def close(self) -> None:
        """The end of its input ends it, and it takes its folder with it; else it is killed."""
        process, self._process = self._process, None
        if process is None:
            return
        try:
            process.communicate(timeout=_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()

    def _ask(self, sent: Input) -> Answer:
        process = self._process or self._start()
        assert process.stdin is not None
        try:
            process.stdin.write(f"{sent.kind} {len(sent.content)}\n".encode() + sent.content)
            process.stdin.flush()
            status, words = json.loads(self._read_line(process, self._deadline_seconds))
        except TimeoutError:
            self.close()
            return Answer(Came.NOTHING)
        except (OSError, ValueError):
            code = process.wait()
            self.close()
            return Answer(Came.CLOSED, str(code), f"exit code {code}".encode())
        return Answer(Came.ANSWER, status, words.encode(errors="replace"))

    def _start(self) -> subprocess.Popen[bytes]:
        self._lines = b""
        self._process = subprocess.Popen(
            [sys.executable, "-m", self._module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=PROJECT,
            start_new_session=True,  # Ctrl-C is ours alone; we end it then
        )
        self._read_line(self._process, _START_SECONDS)
        return self._process

    def _read_line(self, process: subprocess.Popen[bytes], seconds: float) -> bytes:
        """Raises TimeoutError, or ValueError where there will be none."""
        assert process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            while b"\n" not in self._lines:
                if not selector.select(seconds):
                    raise TimeoutError
                read = os.read(process.stdout.fileno(), 65536)
                if not read:
                    raise ValueError("it has ended")
                self._lines += read
        line, _, self._lines = self._lines.partition(b"\n")
        return line
