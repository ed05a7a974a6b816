"""What goes into a model and what comes out, said once, for every framework and every protocol."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from models.errors import ContractMismatch

Tensors = Mapping[str, np.ndarray]
"""Tensors by their contract name; the first axis of every one is the batch."""


@dataclass(frozen=True)
class TensorSpec:
    """One input or output.

    Attributes:
        name: the name on the wire and in every exported file.
        dtype: numpy's name of the element type, such as ``float32``.
        shape: the shape of ONE row; the batch axis in front of it is implied. Layout is NHWC.
        meaning: one line for people, units included.
        low: smallest value a client may send, for edge inputs; None for outputs.
        high: largest value a client may send.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    meaning: str = ""
    low: float | None = None
    high: float | None = None

    def batch(self, rows: int) -> tuple[int, ...]:
        """The full shape of a batch of that many rows."""
        return (rows, *self.shape)


@dataclass(frozen=True)
class Contract:
    """The model's inputs and outputs. Knows no framework.

    Attributes:
        inputs: what a client sends, raw: preprocessing lives inside the model.
        outputs: what it gets back.
        labels: the classes, in the order of the last axis of ``scores``.
        scores: the output whose largest element is the answer.
        logits: the output compared before training, where rounding is not squashed by a softmax.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    labels: tuple[str, ...]
    scores: str
    logits: str

    def __post_init__(self) -> None:
        for field in ("scores", "logits"):
            name = getattr(self, field)
            if name not in self.output_names:
                raise ContractMismatch(
                    f"The contract's {field} names the output {name!r}, which is not among "
                    f"{list(self.output_names)}.",
                    "Correct the contract in the case's case.py.",
                )

    @property
    def input_names(self) -> tuple[str, ...]:
        return tuple(spec.name for spec in self.inputs)

    @property
    def output_names(self) -> tuple[str, ...]:
        return tuple(spec.name for spec in self.outputs)

    def predicted_labels(self, outputs: Tensors) -> np.ndarray:
        """Index of the winning class per row.

        Args:
            outputs: a predictor's answer, ``scores`` of shape (N, classes) among it.

        Returns:
            int64 (N,)
        """
        winners: np.ndarray = np.argmax(outputs[self.scores], axis=-1)
        return winners

    def edge_inputs(self) -> dict[str, np.ndarray]:
        """Two rows at the ends of what a client may send: all lowest, all highest."""
        return {
            spec.name: np.stack(
                [np.full(spec.shape, spec.low or 0), np.full(spec.shape, spec.high or 0)]
            ).astype(spec.dtype)
            for spec in self.inputs
        }
