"""Training inside the pipeline against bare loops: the same work, under the same contention, in turn.

Both frameworks train side by side, as they do in the pipeline, so that each has the other as its neighbour. An
epoch counts only if it lies within the time in which both were training, and is nobody's first (it compiles).
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass

MIN_EPOCHS = 3
"""Fewer in common say nothing."""


@dataclass(frozen=True)
class TimedEpoch:
    """One epoch as its process told of it.

    Attributes:
        ended: on this process's monotonic clock.
        seconds: as the training process measured it.
    """

    ended: float
    seconds: float


Epochs = list[TimedEpoch]
Train = Callable[[str, int, Callable[[float], None]], None]
"""Trains a framework for a number of epochs in a process of its own; told the seconds of each epoch as it ends."""


class TooShort(Exception):
    """The trainings hardly overlapped."""


@dataclass(frozen=True)
class Pair:
    """Rows a second, by framework, of two runs next to one another in time."""

    pipeline: dict[str, float]
    bare: dict[str, float]

    def ratio(self, framework: str) -> float:
        return self.pipeline[framework] / self.bare[framework]


def train_side_by_side(
    train: Train, epochs: Mapping[str, int], stop: Callable[[], None] = lambda: None
) -> dict[str, Epochs]:
    """Train every framework at once; what each epoch took, by framework.

    Args:
        stop: ends what still trains; called where one fails or Ctrl-C comes.
    """
    seen: dict[str, Epochs] = {name: [] for name in epochs}

    def one(name: str) -> None:
        train(
            name,
            epochs[name],
            lambda seconds: seen[name].append(TimedEpoch(time.monotonic(), seconds)),
        )

    with ThreadPoolExecutor(len(epochs)) as pool:
        try:
            for future in as_completed([pool.submit(one, name) for name in epochs]):
                future.result()
        except BaseException:
            stop()  # before the pool waits for its threads
            raise
    return seen


def steady_rates(seen: Mapping[str, Epochs], rows: int) -> dict[str, float]:
    """Rows a second by framework: the median epoch of those that lie within everybody's training.

    Raises:
        TooShort: fewer than ``MIN_EPOCHS`` do.
    """
    began = max(epochs[0].ended for epochs in seen.values())
    ended = min(epochs[-1].ended for epochs in seen.values())
    rates = {}
    for name, epochs in seen.items():
        common = [
            epoch.seconds
            for epoch in epochs[1:]
            if epoch.ended - epoch.seconds >= began and epoch.ended <= ended
        ]
        if len(common) < MIN_EPOCHS:
            raise TooShort(f"Only {len(common)} epochs of {name} had company; train for longer.")
        rates[name] = rows / statistics.median(common)
    return rates


def epochs_for(seen: Mapping[str, Epochs], seconds: float) -> dict[str, int]:
    """How many epochs keep every framework busy for ``seconds`` in common.

    Args:
        seen: a short trial, all started at once; whoever starts sooner gets more, to end with the others.
    """
    last_start = max(epochs[0].ended for epochs in seen.values())
    wanted = {}
    for name, epochs in seen.items():
        typical = statistics.median(epoch.seconds for epoch in epochs[1:])
        wanted[name] = math.ceil((last_start - epochs[0].ended + seconds) / typical) + 1
    return wanted


def median_ratio(pairs: Sequence[Pair], framework: str) -> float:
    """The middle one of the paired ratios: one disturbed pair does not decide."""
    return statistics.median(pair.ratio(framework) for pair in pairs)


def median_rate(pairs: Sequence[Pair], framework: str, side: str) -> float:
    rates: list[dict[str, float]] = [getattr(pair, side) for pair in pairs]
    return statistics.median(rate[framework] for rate in rates)
