"""What goes into a model and what comes out, said once, for every framework and every protocol."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from models.errors import ContractMismatch

TEXT = "string"
"""The one dtype that is not numpy's own name."""

UNSEEN = "Zürich ✈ 東京"
"""A word that no vocabulary holds, and that is longer in UTF-8 than in letters."""

Tensors = Mapping[str, np.ndarray]
"""Tensors by their contract name; the first axis of every one is the batch."""


@dataclass(frozen=True)
class TensorSpec:
    """One input or output.

    Attributes:
        name: the name on the wire and in every exported file.
        dtype: numpy's name of the element type, such as ``float32``; ``string`` for text, which is an array of
            numpy's ``str_`` of any width in memory, DT_STRING on TF Serving's wire, ``List[str]`` in TorchScript.
        shape: the shape of ONE row; the batch axis in front of it is implied. Layout is NHWC. Text is one word a
            row: its shape is ().
        meaning: one line for people, units included.
        low: smallest value a client may send, for edge inputs; None for outputs and text.
        high: largest value a client may send.
        missing: whether a client may leave the value out: NaN, or "" for text. Floats and text only.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    meaning: str = ""
    low: float | None = None
    high: float | None = None
    missing: bool = False

    def __post_init__(self) -> None:
        if self.is_text and self.shape:
            raise ContractMismatch(
                f"{self.name} is text of shape {self.shape}; text is one word a row, of shape ().",
                "Give every word an input of its own.",
            )
        if self.missing and not (self.is_text or self.dtype.startswith("float")):
            raise ContractMismatch(
                f"{self.name} is {self.dtype}, which cannot say that a value is missing.",
                "Make it float32 (NaN) or string (empty).",
            )

    @property
    def is_text(self) -> bool:
        return self.dtype == TEXT

    def admits(self, array: np.ndarray) -> bool:
        """Whether the array's element type is this one; text may have any width."""
        if self.is_text:
            return array.dtype.kind == "U"
        return array.dtype == np.dtype(self.dtype)

    def filled(self, rows: int, value: float | str | None) -> np.ndarray:
        """That many rows of one value, ``None`` being zero, or no text."""
        if self.is_text:
            return np.full(self.batch(rows), value or "")
        return np.full(self.batch(rows), 0 if value is None else value).astype(self.dtype)

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

    @property
    def edges(self) -> tuple[str, ...]:
        """What the rows of :meth:`edge_inputs` are, for people."""
        missing = ("all missing",) if any(spec.missing for spec in self.inputs) else ()
        unseen = ("unseen words",) if any(spec.is_text for spec in self.inputs) else ()
        return ("all lowest", "all highest", *missing, *unseen)

    def edge_inputs(self) -> dict[str, np.ndarray]:
        """Rows at the ends of what a client may send, one for each of :attr:`edges`."""
        return {
            spec.name: np.concatenate([spec.filled(1, _edge(spec, edge)) for edge in self.edges])
            for spec in self.inputs
        }


def _edge(spec: TensorSpec, edge: str) -> float | str | None:
    if edge == "all missing" and spec.missing:
        return None if spec.is_text else float("nan")
    if spec.is_text:
        return {"all highest": "~" * 64, "unseen words": UNSEEN}.get(edge)
    return spec.high if edge == "all highest" else spec.low
