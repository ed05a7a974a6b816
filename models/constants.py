"""The constants of preprocessing: computed once from the train split, and built into every exported file.

``constants.json`` holds, for every number, mean and standard deviation of the values that are there and what a
missing one is taken for; for every text, its vocabulary. Both networks are made with them, so that there is one
vocabulary and one scale. Who computed them stands in ``source``: the numpy reference here, or TensorFlow
Transform.

The rules, which the networks follow inside their graphs and :func:`features` in numpy:

* a number is ``(x - mean) / std``, a missing one taken for ``missing`` first;
* a text is 0 where it is missing, 1 where the vocabulary lacks it, else 2 and its place in the vocabulary.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from models.artifact import write_text
from models.contract import Contract, Tensors
from models.dataset import Split
from models.errors import ArtifactCorrupt, CaseError
from models.shards import Shards

Constants = Mapping[str, Any]
"""The document; see the module's docstring."""

FILE = "constants.json"
FORMAT = 1
MISSING, UNSEEN, KNOWN = 0, 1, 2
"""Index of a missing word, of one that the vocabulary lacks, and of the vocabulary's first."""


def compute_constants(
    contract: Contract, train: Split | Shards, data_digest: str
) -> dict[str, Any]:
    """The constants by numpy, over the train split, part by part: means first, then deviations from them.

    Raises:
        CaseError: a number has no value at all there.
    """
    texts = [spec.name for spec in contract.inputs if spec.is_text]
    numbers = [spec.name for spec in contract.inputs if not spec.is_text]
    counts: dict[str, Counter[str]] = {name: Counter() for name in texts}
    scales = {name: _Scale(name) for name in numbers}
    for part in train.parts():
        for name in texts:
            words, found = np.unique(part.inputs[name], return_counts=True)
            counts[name].update(dict(zip(words.tolist(), found.tolist(), strict=True)))
        for name in numbers:
            scales[name].add(part.inputs[name])
    for part in train.parts():
        for name in numbers:
            scales[name].add_deviations(part.inputs[name])
    return {
        "format": FORMAT,
        "source": f"numpy {np.__version__}",
        "rows": len(train),
        "data_digest": data_digest,
        "numeric": {name: scales[name].facts() for name in numbers},
        "categorical": {name: {"vocabulary": _vocabulary(counts[name])} for name in texts},
    }


def write_constants(path: Path, constants: Constants) -> None:
    """Write the document, whole or not at all."""
    write_text(path, json.dumps(constants, indent=2, ensure_ascii=False) + "\n")


def read_constants(path: Path, contract: Contract) -> Constants:
    """Read a document, whoever wrote it, and hold it against the contract.

    Raises:
        ArtifactCorrupt: it cannot be read, or is of another format.
        CaseError: it lacks an input of the contract.
    """
    try:
        constants: dict[str, Any] = json.loads(path.read_text())
        if constants["format"] != FORMAT:
            raise ValueError(f"its format is {constants['format']}, not {FORMAT}")
        known = {*constants["numeric"], *constants["categorical"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtifactCorrupt(f"{path} cannot be read as constants: {error}.") from error
    for spec in contract.inputs:
        if spec.name not in known:
            raise CaseError(
                f"{path} has no constants for {spec.name}, which the contract takes.",
                "Compute them anew: `make demo FRESH=1`.",
            )
    return constants


def features(constants: Constants, inputs: Tensors) -> dict[str, np.ndarray]:
    """What the networks make of raw inputs before any weight is used, by numpy alone: the reference of tests.

    Returns:
        by input: index int64 (N,) of a text, scaled float32 (N,) of a number.
    """
    words, numbers = constants["categorical"], constants["numeric"]
    return {name: _indices(words[name]["vocabulary"], inputs[name]) for name in words} | {
        name: _scaled(numbers[name], inputs[name]) for name in numbers
    }


class _Scale:
    """Mean and standard deviation of values that come in parts, twice."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._rows = 0
        self._sum = self._deviations = 0.0

    @property
    def mean(self) -> float:
        if not self._rows:
            raise CaseError(
                f"{self._name} of the train split has no value at all.", "Correct the data."
            )
        return self._sum / self._rows

    def add(self, values: np.ndarray) -> None:
        present = _present(values)
        self._rows += present.size
        self._sum += float(present.sum())

    def add_deviations(self, values: np.ndarray) -> None:
        """After all were added."""
        self._deviations += float(((_present(values) - self.mean) ** 2).sum())

    def facts(self) -> dict[str, float]:
        std = float(np.sqrt(self._deviations / self._rows)) or 1.0
        return {"mean": self.mean, "std": std, "missing": self.mean}


def _present(values: np.ndarray) -> np.ndarray:
    present: np.ndarray = values[~np.isnan(values)].astype(np.float64)
    return present


def _vocabulary(counts: Counter[str]) -> list[str]:
    """Most frequent first, equally frequent ones by alphabet."""
    return sorted((word for word in counts if word), key=lambda word: (-counts[word], word))


def _indices(vocabulary: list[str], words: np.ndarray) -> np.ndarray:
    place = {word: KNOWN + number for number, word in enumerate(vocabulary)} | {"": MISSING}
    return np.array([place.get(word, UNSEEN) for word in words.tolist()], np.int64)


def _scaled(scale: Mapping[str, float], values: np.ndarray) -> np.ndarray:
    mean, std, missing = (np.float32(scale[key]) for key in ("mean", "std", "missing"))
    scaled: np.ndarray = (np.where(np.isnan(values), missing, values) - mean) / std
    return scaled
