"""How a benchmark is stopped: by an interrupt or SIGTERM, once."""

from __future__ import annotations

import signal
from types import FrameType
from typing import NoReturn


def stop_on_signals() -> None:
    """Raise KeyboardInterrupt at either; call once, in the main thread.

    Also at an interrupt that was ignored at the start, as it is for a background job of a script.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)


def _interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
    # `timeout` sends two; the second must not stop the stopping.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt
