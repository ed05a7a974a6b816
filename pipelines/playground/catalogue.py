"""What the page must know of a case: its contract, how each input is edited, real rows to start from."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.case import Case
from models.contract import TensorSpec
from models.dataset import Split
from pipelines.playground.fleet import FILES, NAMES
from pipelines.playground.reading import plain_row
from pipelines.playground.scan import Frame, frame_of
from pipelines.playground.search import Changes
from serving.endpoints import FRAMEWORK_OF, PROTOCOLS

MOST_WORDS = 200
MOST_NUMBERS = 64
"""Inputs of more numbers are not typed; they come from rows."""
COMMON_ROWS = 5000


@dataclass(frozen=True)
class Catalogue:
    """A case and its test split, ready for the page.

    Attributes:
        words: by text input the words that the rows hold, the most frequent first.
        frame: how to draw; None where the input is no image.
    """

    case: Case
    split: Split
    words: dict[str, list[str]]
    frame: Frame | None
    changes: Changes

    @classmethod
    def of(cls, case: Case, split: Split) -> Catalogue:
        common = split.spread(COMMON_ROWS)
        words = {
            spec.name: _words(common.inputs[spec.name])
            for spec in case.contract.inputs
            if spec.is_text
        }
        frame = frame_of(case.contract, split)
        return cls(case, split, words, frame, Changes(case.contract, common, words, frame))

    def describe(self) -> dict[str, Any]:
        """As JSON has it."""
        contract = self.case.contract
        return {
            "name": self.case.name,
            "title": self.case.title,
            "labels": contract.labels,
            "scores": contract.scores,
            "rows": len(self.split),
            "drawn": self.frame.spec.name if self.frame else None,
            "inputs": [self._input(spec) for spec in contract.inputs],
            "engines": _engines(),
        }

    def row(self, number: int) -> dict[str, Any]:
        """A row of the test split with its true label; numbers begin again after the last."""
        number %= len(self.split)
        sample = self.split.rows(slice(number, number + 1))
        return {"row": number, "label": int(sample.labels[0]), "inputs": plain_row(sample.inputs)}

    def _input(self, spec: TensorSpec) -> dict[str, Any]:
        return {
            "name": spec.name,
            "meaning": spec.meaning,
            "dtype": spec.dtype,
            "shape": spec.shape,
            "low": spec.low,
            "high": spec.high,
            "missing": spec.missing,
            "words": self.words.get(spec.name, []),
            "editor": self._editor(spec),
        }

    def _editor(self, spec: TensorSpec) -> str:
        if self.frame and spec == self.frame.spec:
            return "drawing"
        if spec.is_text:
            return "word"
        if not spec.shape or int(np.prod(spec.shape)) == 1:
            return "number"
        return "numbers" if int(np.prod(spec.shape)) <= MOST_NUMBERS else "row"


def _engines() -> list[dict[str, str]]:
    """All six in the page's order."""
    servers = [
        {
            "key": f"{name}-{protocol.lower()}",
            "title": NAMES[name],
            "way": protocol,
            "framework": FRAMEWORK_OF[name],
            "server": name,
        }
        for name in FRAMEWORK_OF
        for protocol in PROTOCOLS
    ]
    files = [
        {
            "key": key,
            "title": "TFLite",
            "way": form.removeprefix("TFLite "),
            "framework": "tensorflow",
            "server": "",
        }
        for key, form in FILES.items()
    ]
    return [*servers, *files]


def _words(column: np.ndarray) -> list[str]:
    counted = Counter(word for word in column.tolist() if word)
    return [word for word, _ in counted.most_common(MOST_WORDS)]
