"""Whether an answer is right: read and compared once, then known by its bytes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from models.contract import Contract, Tensors
from models.errors import TwinServeError
from models.parity import Tolerance, compare


class AnswerCheck:
    """Checks the answers to a fixed set of one-row requests.

    Reading every answer would cost the client about as much as the request; an answer whose bytes were read
    and found right before is right again.

    Args:
        contract: names the outputs.
        expected: the right answers, each (N, ...).
        tolerance: how far an answer may be off.
        read: turns an answer's bytes into tensors.
    """

    def __init__(
        self,
        contract: Contract,
        expected: Tensors,
        tolerance: Tolerance,
        read: Callable[[bytes], dict[str, np.ndarray]],
    ) -> None:
        self._contract = contract
        self._expected = expected
        self._tolerance = tolerance
        self._read = read
        self._known: set[tuple[int, bytes]] = set()

    def is_right(self, row: int, answer: bytes) -> bool:
        """Whether ``answer`` is right for that row."""
        if (row, answer) in self._known:
            return True
        wanted = {name: rows[row : row + 1] for name, rows in self._expected.items()}
        try:
            found = self._read(answer)
            right = compare(self._contract, wanted, found, self._tolerance).passed
        except TwinServeError:
            return False
        if right:
            self._known.add((row, answer))
        return right
