"""The one interface behind trained models, exported files and live servers."""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

import numpy as np

from models.contract import Contract, Tensors, TensorSpec
from models.errors import NameMismatch, ShapeMismatch

UNSTATED = "unstated"


@dataclass(frozen=True)
class Signature:
    """What a predictor says of itself.

    A dtype of ``UNSTATED`` or a shape of None means that the format does not record it: TorchScript
    stores argument names but no shapes, for example. What is unstated is not compared.
    """

    inputs: tuple[StatedTensor, ...]
    outputs: tuple[StatedTensor, ...]


@dataclass(frozen=True)
class StatedTensor:
    """A tensor as a file or a server describes it; ``shape`` is that of one row, batch axis left out."""

    name: str
    dtype: str = UNSTATED
    shape: tuple[int, ...] | None = None


class Predictor(Protocol):
    """``predict(inputs) -> outputs``, numpy in and numpy out.

    Usable as a context manager; ``close`` gives back files, threads and connections.
    """

    def signature(self) -> Signature:
        """What the file or the server says of its own inputs and outputs."""
        ...

    def predict(self, inputs: Tensors) -> dict[str, np.ndarray]:
        """Answer a batch.

        Args:
            inputs: one array (N, ...) for every input of the contract.

        Returns:
            one array (N, ...) for every output of the contract.

        Raises:
            RequestError: a server answered with an error, or not at all.
        """
        ...

    def close(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class Closing:
    """Makes a Predictor a context manager that closes itself."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Nothing to give back."""


def predict_in_batches(
    predictor: Predictor, inputs: Tensors, batch_size: int
) -> dict[str, np.ndarray]:
    """Answer all rows in batches of ``batch_size``; the last one may be shorter."""
    rows = len(next(iter(inputs.values())))
    answers = [
        predictor.predict(
            {name: rows_[start : start + batch_size] for name, rows_ in inputs.items()}
        )
        for start in range(0, rows, batch_size)
    ]
    return {name: np.concatenate([answer[name] for answer in answers]) for name in answers[0]}


def check_signature(contract: Contract, signature: Signature) -> None:
    """Hold what a predictor says of itself against the contract: names first, then dtypes and shapes.

    Raises:
        NameMismatch: other inputs or outputs than the contract's.
        ShapeMismatch: a stated dtype or shape is another one.
    """
    for side, wanted, stated in (
        ("inputs", contract.inputs, signature.inputs),
        ("outputs", contract.outputs, signature.outputs),
    ):
        _check_side(side, wanted, stated)


def _check_side(
    side: str, wanted: tuple[TensorSpec, ...], stated: tuple[StatedTensor, ...]
) -> None:
    names = {tensor.name for tensor in stated}
    if names != {spec.name for spec in wanted}:
        raise NameMismatch(
            f"The {side} are named {sorted(names)}; the contract says "
            f"{sorted(spec.name for spec in wanted)}."
        )
    by_name = {tensor.name: tensor for tensor in stated}
    for spec in wanted:
        found = by_name[spec.name]
        if found.dtype not in (UNSTATED, spec.dtype):
            raise ShapeMismatch(f"{spec.name} is {found.dtype}; the contract says {spec.dtype}.")
        if found.shape is not None and found.shape != spec.shape:
            raise ShapeMismatch(
                f"{spec.name} has shape {found.shape} a row; the contract says {spec.shape}."
            )
