"""One batch: the rows of several requests as one, and the answer's rows back to them.

What is refused, and in which words, is ``batching_session.cc``'s and ``batching_util``'s in TF Serving.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from grpc import StatusCode

from serving.tfserving.embedded.options.batching_parameters import BatchingParameters
from serving.tfserving.embedded.status import StatusError, invalid

Tensors = Mapping[str, np.ndarray]

_MOST_DIMENSIONS = 6
"""Of a tensor that can be filled up, as in TensorFlow's pad operation."""


@dataclass(eq=False, slots=True)
class Request:
    """What one caller waits for.

    Attributes:
        inputs: its tensors, with equally many rows each.
        answer: the outputs, in the event loop.
        since: when it came, on the monotonic clock.
        parts: the outputs of each slice, as soon as they are there.
        missing: slices without outputs yet.
        is_taken: whether a batch with some of it has been taken from the queue.
    """

    inputs: Tensors
    answer: asyncio.Future[dict[str, np.ndarray]]
    since: float = field(default_factory=time.monotonic)
    parts: list[Tensors | None] = field(default_factory=list)
    missing: int = 0
    is_taken: bool = False

    def slice(self, start: int, stop: int, whole: int) -> Slice:
        """Some of the rows, for one batch; ``whole`` is how many there are."""
        inputs = self.inputs
        if stop - start < whole:
            inputs = {name: array[start:stop] for name, array in inputs.items()}
        self.parts.append(None)
        self.missing += 1
        return Slice(self, len(self.parts) - 1, inputs, stop - start)


@dataclass(eq=False, slots=True)
class Slice:
    """Rows of a request that are in one batch: all of them, unless it was split.

    Attributes:
        request: whose they are.
        place: of the outputs among the request's.
        inputs: the rows.
        size: how many.
    """

    request: Request
    place: int
    inputs: Tensors
    size: int

    def settle(self, outputs: Tensors) -> None:
        """In the event loop: these rows have been answered."""
        request = self.request
        request.parts[self.place] = outputs
        request.missing -= 1
        if not request.missing and not request.answer.done():
            request.answer.set_result(join(request.parts))

    def fail(self, error: Exception) -> None:
        """In the event loop: the whole request has failed."""
        if not self.request.answer.done():
            self.request.answer.set_exception(error)


def count_rows(inputs: Tensors) -> int:
    """The size of the 0th dimension, in which requests are put together.

    Raises:
        StatusError: a tensor has no such dimension, or they differ.
    """
    sizes = set()
    for array in inputs.values():
        if not array.ndim:
            raise invalid("Batching Run() input tensors must have at least one dimension")
        sizes.add(array.shape[0])
    if not sizes:
        raise invalid("Batching Run() must have at least one input tensor")
    if len(sizes) > 1:
        raise invalid("Batching Run() input tensors must have equal 0th-dimension size")
    return int(sizes.pop())


def merge(slices: list[Tensors], rows: int, parameters: BatchingParameters) -> Tensors:
    """One request's tensors out of several, filled up to a size that is allowed.

    Args:
        slices: tensors by name, the same names in each.
        rows: of all together.
        parameters: the sizes that are allowed, and whether other shapes are filled up.

    Raises:
        StatusError: shapes differ and are not filled up.
    """
    missing = parameters.padded(rows) - rows if rows else 0
    if len(slices) == 1 and not missing:
        return slices[0]
    return {
        name: _concatenated(
            name, [each[name] for each in slices], missing, parameters.pad_variable_length_inputs
        )
        for name in slices[0]
    }


def split(
    outputs: Tensors, wanted: Collection[str], sizes: list[int], padded: int
) -> list[dict[str, np.ndarray]]:
    """The outputs of each slice; what belongs to added rows is left out.

    Args:
        outputs: of the whole batch.
        wanted: names of those that are asked for; all where empty.
        sizes: rows of each slice, in order.
        padded: rows with which the batch was run.

    Raises:
        StatusError: an output has other rows than the batch.
    """
    kept = {name: outputs[name] for name in wanted or outputs}
    for array in kept.values():
        _check_rows(array, padded)
    if sizes == [padded]:
        return [kept]
    found, start = [], 0
    for size in sizes:
        found.append({name: array[start : start + size] for name, array in kept.items()})
        start += size
    return found


def _concatenated(name: str, arrays: list[np.ndarray], missing: int, pads: bool) -> np.ndarray:
    shape = arrays[0].shape[1:]
    if any(array.shape[1:] != shape for array in arrays):
        if not pads:
            raise StatusError(
                StatusCode.FAILED_PRECONDITION,
                f"Tensors with name '{name}' from different tasks have different shapes and padding "
                "is turned off. Set pad_variable_length_inputs to true, or ensure that all tensors "
                "with the same name have equal dimensions starting with the first dim.",
            )
        arrays = _filled_up(arrays)
    if missing:
        # The last request's first row: it is sure to be a row that the model can take.
        row = next(array for array in reversed(arrays) if len(array))[:1]
        arrays = [*arrays, np.broadcast_to(row, (missing, *row.shape[1:]))]
    return np.concatenate(arrays)


def _filled_up(arrays: list[np.ndarray]) -> list[np.ndarray]:
    """All with the largest size in every dimension but the 0th."""
    if any(array.ndim != arrays[0].ndim for array in arrays) or arrays[0].ndim > _MOST_DIMENSIONS:
        raise invalid("Only tensors with rank from 1 to 6 can be padded.")
    largest = tuple(max(sizes) for sizes in zip(*(array.shape for array in arrays), strict=True))
    if any(not array.size and array.shape[1:] != largest[1:] for array in arrays):
        # Before any is filled: the sizes beside a size of 0 may be beyond all memory.
        raise invalid("Got empty tensor in batch of non-empty tensors.")
    return [_fill_up(array, largest[1:]) for array in arrays]


def _fill_up(array: np.ndarray, largest: tuple[int, ...]) -> np.ndarray:
    """With its own first element."""
    if array.shape[1:] == largest:
        return array
    larger = np.full((len(array), *largest), array.flat[0], array.dtype)
    larger[tuple(slice(size) for size in array.shape)] = array
    return larger


def _check_rows(array: np.ndarray, rows: int) -> None:
    if not array.ndim:
        raise StatusError(StatusCode.FAILED_PRECONDITION, "Batched output tensor has 0 dimensions")
    if array.shape[0] != rows:
        raise StatusError(
            StatusCode.FAILED_PRECONDITION,
            "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension "
            "sizes of the input tensors",
        )


def join(parts: Iterable[Tensors | None]) -> dict[str, np.ndarray]:
    """The outputs of a request from those of its slices."""
    found = [part for part in parts if part is not None]
    if len(found) == 1:
        return dict(found[0])
    return {name: np.concatenate([part[name] for part in found]) for name in found[0]}
