"""A child process that ends when its parent does, however that ends."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

GRACE_SECONDS = 5.0


def end_with_parent(clean_up: Callable[[], None] = lambda: None) -> None:
    """Send SIGTERM to this process when its standard input closes, and end it hard if that does not help.

    The parent holds the other end of a pipe; the kernel closes it also when the parent is killed.

    Args:
        clean_up: called before, for what the parent can no longer do.
    """
    threading.Thread(target=_watch, args=(clean_up,), daemon=True).start()


@contextmanager
def lifeline() -> Iterator[int]:
    """A file descriptor for a child's standard input that stays open for as long as this process lives."""
    child_end, our_end = os.pipe()
    try:
        yield child_end
    finally:
        os.close(child_end)
        os.close(our_end)


def _watch(clean_up: Callable[[], None]) -> None:
    # Not through sys.stdin: its lock, held by this thread, would abort the interpreter at its end.
    while os.read(0, 4096):
        pass
    clean_up()
    threading.Timer(GRACE_SECONDS, os._exit, (1,)).start()
    os.kill(os.getpid(), signal.SIGTERM)
