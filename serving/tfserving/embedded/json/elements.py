"""One JSON value as a tensor, element by element: exact about what is taken and what is not.

Follows ``FillTensorProto`` and ``AddValueToTensor`` in TF Serving's ``util/json_tensor.cc``.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from grpc import StatusCode

from serving.tfserving.element_types import ElementType
from serving.tfserving.embedded.graph.signature import Port
from serving.tfserving.embedded.json.excerpt import excerpt, type_name
from serving.tfserving.embedded.status import StatusError, invalid
from serving.tfserving.tensor_proto import MAX_RANK

_SHORT_INTS = ("int32", "int16", "int8", "uint8")
"""JSON may hold any number of 32 bits for these; what does not fit loses its upper bits, as there."""


def read_by_element(value: Any, port: Port) -> np.ndarray:
    """A scalar or nested lists as an array of the port's element type.

    Raises:
        StatusError: ragged lists, elements of another type, or numbers out of range.
    """
    kind = port.kind
    if kind is None:
        raise invalid(f'Input "{port.name}" is of a type that JSON cannot carry')
    shape = _shape_of(value)
    if len(shape) > MAX_RANK:
        raise invalid(f'Input "{port.name}" has rank {len(shape)}; at most {MAX_RANK} is possible')
    reader = _Reader(kind, shape, _READERS.get(kind.name, _refuse))
    reader.collect(value)
    return make_array(reader.elements, kind).reshape(shape)


def make_array(elements: list[Any], kind: ElementType) -> np.ndarray:
    """Elements that were found to be right, (N,)."""
    if kind.name in _SHORT_INTS:
        return np.array(elements, np.int32).astype(kind.dtype)
    if kind.dtype.kind == "f":
        with np.errstate(over="ignore"):  # a double beyond float's range becomes infinity
            return np.array(elements, np.float64).astype(kind.dtype, copy=False)
    array = np.empty(len(elements), kind.dtype)
    array[:] = elements
    return array


def is_base64(value: Any) -> bool:
    """Whether it is ``{"b64": "..."}`` and nothing else."""
    return isinstance(value, dict) and list(value) == ["b64"] and isinstance(value["b64"], str)


def read_base64(value: Any) -> bytes:
    """The bytes in ``{"b64": "..."}``.

    As ``absl::Base64Unescape``: white space counts for nothing, and so does ``=`` at the end, which
    may be missing or be written as a full stop, but not be there in part.

    Raises:
        StatusError: something else, or not base64.
    """
    if not is_base64(value):
        raise invalid(f"JSON Value: {excerpt(value)} not formatted correctly for base64 data")
    text = "".join(value["b64"].split())
    digits = text.rstrip("=.")
    missing = -len(digits) % 4
    try:
        if len(text) - len(digits) not in (0, missing):
            raise binascii.Error
        return base64.b64decode(digits + "=" * missing, validate=True)
    except ValueError:
        raise invalid("Unable to base64 decode") from None


def read_text(value: str) -> bytes:
    """A JSON string's bytes; those that are no UTF-8 came in as surrogate escapes."""
    return value.encode(errors="surrogateescape")


def _shape_of(value: Any) -> tuple[int, ...]:
    shape = []
    while isinstance(value, list):
        shape.append(len(value))
        if not value:
            break
        value = value[0]
    return tuple(shape)


@dataclass
class _Reader:
    """Walks nested lists; the first of each level says how long the others must be."""

    kind: ElementType
    shape: tuple[int, ...]
    read: Callable[[Any, ElementType], Any]
    elements: list[Any] = field(default_factory=list)

    def collect(self, value: Any, level: int = 0) -> None:
        if not isinstance(value, list):
            self._check_is_leaf(value, level)
            self.elements.append(self.read(value, self.kind))
            return
        self._check_list(value, level)
        for each in value:
            self.collect(each, level + 1)

    def _check_is_leaf(self, value: Any, level: int) -> None:
        if level != len(self.shape):
            raise invalid(
                f"JSON Value: {excerpt(value)} found at incorrect level: {level + 1} "
                f"in the JSON DOM. Expected at level: {len(self.shape)}"
            )
        if isinstance(value, dict) and self.kind.name != "string":
            raise _type_error(value, self.kind)

    def _check_list(self, value: list[Any], level: int) -> None:
        if level >= len(self.shape):
            raise invalid(
                f"Encountered list at unexpected level: {level} expected < {len(self.shape)}"
            )
        if len(value) != self.shape[level]:
            raise invalid(
                f"Encountered list at unexpected size: {len(value)} at level: {level} "
                f"expected size: {self.shape[level]}"
            )


def _read_float(value: Any, kind: ElementType) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _type_error(value, kind)
    return float(value)


def _read_int(value: Any, kind: ElementType) -> int:
    limits = np.iinfo(np.int32 if kind.name in _SHORT_INTS else kind.dtype)
    if isinstance(value, bool) or not isinstance(value, int):
        raise _type_error(value, kind)
    if not limits.min <= value <= limits.max:
        raise _type_error(value, kind)
    return value


def _read_bool(value: Any, kind: ElementType) -> bool:
    if not isinstance(value, bool):
        raise _type_error(value, kind)
    return value


def _read_string(value: Any, kind: ElementType) -> bytes:
    if isinstance(value, str):
        return read_text(value)
    if not isinstance(value, dict):
        raise _type_error(value, kind)
    return read_base64(value)


def _refuse(value: Any, kind: ElementType) -> Any:
    raise StatusError(
        StatusCode.UNIMPLEMENTED,
        f"Conversion of JSON Value: {excerpt(value)} to type: {kind.name}",
    )


_READERS: dict[str, Callable[[Any, ElementType], Any]] = {
    "float": _read_float,
    "double": _read_float,
    "string": _read_string,
    "bool": _read_bool,
    **dict.fromkeys((*_SHORT_INTS, "int64", "uint32", "uint64"), _read_int),
}


def _type_error(value: Any, kind: ElementType) -> StatusError:
    return invalid(
        f"JSON Value: {excerpt(value)} Type: {type_name(value)} is not of expected type: "
        f"{kind.name}"
    )
