"""The flights' rows many times over, and both frameworks trained on them as the pipeline trains them."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.memory import PeakMemory
from models import worker
from models.case import load_case, load_parts
from models.constants import FILE as CONSTANTS
from models.constants import compute_constants, write_constants
from models.dataset import Dataset, Split, StoredDataset, write_parts
from models.framework import FRAMEWORKS, FrameworkName
from models.shards import MOST_ROWS
from pipelines.settings import Settings

CASE = "flights"
BATCH_SIZE = 1024
"""Larger than the case's own: what is measured is how time and memory grow, not how well it learns."""
TIMEOUT_SECONDS = 1800.0


@dataclass(frozen=True)
class Trained:
    """One framework's training at one size.

    Attributes:
        epoch_seconds: of the epochs that count: without the first, which compiles, where there are others.
        other_seconds: encoding of the rows, validation, and starting to train.
    """

    epoch_seconds: tuple[float, ...]
    other_seconds: float


@dataclass(frozen=True)
class Size:
    """What one size took.

    Attributes:
        factor: how often the rows.
        rows: of the train split.
        written_seconds: drawing all splits' rows and writing their shards.
        trained: by framework, both at once.
        memory: of the process tree while both trained.
    """

    factor: int
    rows: int
    written_seconds: float
    trained: Mapping[FrameworkName, Trained]
    memory: PeakMemory


class Scale:
    """Writes the source once, then measures size after size; a size's files are removed when it is measured.

    Args:
        home: a folder for everything.
        sample: rows of the source; all of them for None.
    """

    def __init__(self, home: Path, sample: int | None) -> None:
        self._case, self._home = load_case(CASE), home
        write_parts(home / "source", load_parts(self._case, sample))
        train = StoredDataset.open(home / "source").train
        constants = compute_constants(self._case.contract, train, "")
        write_constants(home / CONSTANTS, constants)

    def source(self) -> Dataset:
        """The rows, once."""
        return Dataset.read(self._home / "source")

    def write(self, factor: int) -> tuple[Path, float]:
        """So many times the rows, drawn with replacement; the folder, and the seconds."""
        source = self.source()
        began = time.perf_counter()
        folder = self._home / f"{factor}x"
        write_parts(folder, _resampled(source, factor))
        return folder, time.perf_counter() - began

    def measure(self, factor: int, folder: Path, written_seconds: float, epochs: int) -> Size:
        """Train both frameworks side by side, and watch the process tree."""
        rows = StoredDataset.open(folder).rows["train"]
        with PeakMemory(os.getpid()) as memory, ThreadPoolExecutor(len(FRAMEWORKS)) as pool:
            try:
                found = pool.map(partial(self._train, folder, epochs), FRAMEWORKS)
                trained = dict(zip(FRAMEWORKS, found, strict=True))
            except BaseException:
                worker.stop_all(for_good=True)  # before the pool waits for its threads
                raise
        return Size(factor, rows, written_seconds, trained, memory)

    def _train(self, folder: Path, epochs: int, framework: str) -> Trained:
        request = self._request(folder, epochs)
        initial = folder / f"initial-{framework}"
        ask = partial(
            worker.call,
            framework,
            threads=Settings().threads,
            timeout_seconds=TIMEOUT_SECONDS,
        )
        ask(verb="initialise", request={**request, "target": str(initial)})
        trained = folder / f"trained-{framework}"
        result = ask(
            verb="train", request={**request, "initial": str(initial), "target": str(trained)}
        )
        seconds = [epoch["seconds"] for epoch in result["epochs"]]
        return Trained(tuple(seconds[1:] or seconds), result["seconds"] - sum(seconds))

    def _request(self, folder: Path, epochs: int) -> dict[str, Any]:
        training = asdict(self._case.training) | {"epochs": epochs, "batch_size": BATCH_SIZE}
        return {
            "case": CASE,
            "cases_path": [],
            "training": training,
            "seed": self._case.training.seed,
            "dataset": str(folder),
            "constants": str(self._home / CONSTANTS),
        }


def _resampled(source: Dataset, factor: int) -> Iterator[tuple[str, Split]]:
    generator = np.random.default_rng(factor)
    for name, split in source.parts():
        left = factor * len(split)
        while left:
            rows = min(left, MOST_ROWS)
            yield name, split.rows(generator.integers(len(split), size=rows))
            left -= rows
