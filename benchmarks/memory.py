"""The largest memory that a process and everything it started held at one moment."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from types import TracebackType

import psutil

INTERVAL_SECONDS = 0.2
SHARE_OF_A_CORE = 0.05
"""Reading PSS walks page tables, and the process that is read waits meanwhile: samples keep their distance."""


class PeakMemory:
    """Samples a process tree from a thread until the block ends.

    PSS where the kernel gives it (a page that is shared by n processes counts 1/n in each), else RSS. Descendants
    count in whatever session they are, and go on counting when whoever started them has ended.

    Attributes:
        peak_bytes: the largest sum.
        peak_processes: memory by command of that moment, the largest first.
        samples: how many were taken.
        cost_seconds: time that sampling itself took.
        kind: ``PSS`` or ``RSS``.
    """

    def __init__(self, pid: int, interval_seconds: float = INTERVAL_SECONDS) -> None:
        self.peak_bytes = 0
        self.peak_processes: list[tuple[str, int]] = []
        self.samples = 0
        self.cost_seconds = 0.0
        self.kind = "PSS" if hasattr(psutil.Process().memory_full_info(), "pss") else "RSS"
        self._known: set[psutil.Process] = {psutil.Process(pid)}
        self._interval = interval_seconds
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._sample_until_over, daemon=True)

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()

    def survivors(self) -> list[psutil.Process]:
        """Processes of the tree that are still alive."""
        return [process for process in self._known if _is_alive(process)]

    def _sample_until_over(self) -> None:
        pause = 0.0
        while not self._over.wait(pause):
            began = time.perf_counter()
            self._sample()
            cost = time.perf_counter() - began
            self.cost_seconds += cost
            pause = max(self._interval - cost, cost / SHARE_OF_A_CORE)

    def _sample(self) -> None:
        self._known = descendants(self._known)
        self.samples += 1
        # RSS is cheap and never below PSS: where even its sum is no record, PSS's cannot be one.
        if sum(_resident(process) for process in self._known) <= self.peak_bytes:
            return
        held = [(command_of(process), _proportional(process)) for process in self._known]
        total = sum(size for _, size in held)
        if total > self.peak_bytes:
            self.peak_bytes = total
            self.peak_processes = sorted(held, key=lambda each: -each[1])


def descendants(known: Iterable[psutil.Process]) -> set[psutil.Process]:
    """Those of the processes that live, and everything that was started by them."""
    alive = {process for process in known if _is_alive(process)}
    pids = {process.pid for process in alive}
    # One pass over all processes; `children(recursive=True)` would make one for each of ours.
    others = [each for each in psutil.process_iter(["ppid"]) if each.pid not in pids]
    while found := [each for each in others if each.info["ppid"] in pids and each not in alive]:
        alive.update(found)
        pids.update(each.pid for each in found)
    return alive


def command_of(process: psutil.Process) -> str:
    """A command that people recognise: the module or file that Python runs, else the program's name."""
    with suppress(psutil.Error):
        line = process.cmdline()
        if "-m" in line:
            return " ".join(line[line.index("-m") + 1 :][:3])
        scripts = [each.rpartition("/")[2] for each in line if each.endswith(".py")]
        return scripts[0] if scripts else process.name()
    return "ended"


def _is_alive(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def _resident(process: psutil.Process) -> int:
    with suppress(psutil.Error):
        return int(process.memory_info().rss)
    return 0


def _proportional(process: psutil.Process) -> int:
    with suppress(psutil.Error):
        memory = process.memory_full_info()
        return int(getattr(memory, "pss", memory.rss))
    return 0
