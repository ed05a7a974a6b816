"""A process with everything that it started: stop it, weigh it."""

from __future__ import annotations

import signal
from contextlib import suppress

import psutil


def stop_process_tree(pid: int, stop_seconds: float) -> None:
    """SIGTERM to the process, a deadline, then SIGKILL to whatever is left of its tree."""
    tree = _tree(pid)
    if not tree:
        return
    with suppress(psutil.NoSuchProcess):
        tree[0].send_signal(signal.SIGTERM)
    psutil.wait_procs(tree, timeout=stop_seconds)
    # Listed again: TorchServe starts a new worker for one that ends.
    alive = [process for process in {*tree, *_tree(pid)} if process.is_running()]
    for process in alive:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, timeout=5)


def resident_bytes_of(pid: int) -> int:
    """Memory of a process tree: PSS where the kernel gives it (shared pages count once), else RSS."""
    total = 0
    for process in _tree(pid):
        with suppress(psutil.Error):
            memory = process.memory_full_info()
            total += getattr(memory, "pss", memory.rss)
    return total


def cpu_seconds_of(pid: int) -> float:
    """User and system time of a process tree so far."""
    total = 0.0
    for process in _tree(pid):
        with suppress(psutil.Error):
            times = process.cpu_times()
            total += times.user + times.system
    return total


def _tree(pid: int) -> list[psutil.Process]:
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
