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
import orjson

from serving.tfserving.embedded.signature import Port
from serving.tfserving.embedded.status import StatusError, invalid

_EXCERPT_BYTES = 256
_MAX_RANK = 64
"""numpy's limit; TensorFlow's own is 254."""
_TYPES = {type(None): "Null", dict: "Object", list: "Array", str: "String"}


def read_by_element(value: Any, port: Port) -> np.ndarray:
    """A scalar or nested lists as an array of the port's element type.

    Raises:
        StatusError: ragged lists, elements of another type, or numbers out of range.
    """
    if port.kind is None:
        raise invalid(f'Input "{port.name}" is of a type that JSON cannot carry')
    shape = _shape_of(value)
    if len(shape) > _MAX_RANK:
        raise invalid(f'Input "{port.name}" has rank {len(shape)}; at most {_MAX_RANK} is possible')
    reader = _Reader(port, shape, _READERS[port.kind.dtype.kind])
    reader.collect(value)
    try:
        array = np.array(reader.elements, port.kind.dtype)
    except OverflowError as error:
        raise invalid(f'Input "{port.name}": {error} for type {port.kind.name}') from error
    return array.reshape(shape)


def is_base64(value: Any) -> bool:
    """Whether it is ``{"b64": "..."}`` and nothing else."""
    return isinstance(value, dict) and list(value) == ["b64"] and isinstance(value["b64"], str)


def excerpt(value: Any) -> str:
    """A JSON value for an error message, cut."""
    try:
        return orjson.dumps(value)[:_EXCERPT_BYTES].decode(errors="ignore")
    except orjson.JSONEncodeError:
        return "(nested too deeply to be shown)"


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

    port: Port
    shape: tuple[int, ...]
    read: Callable[[Any, Port], Any]
    elements: list[Any] = field(default_factory=list)

    def collect(self, value: Any, level: int = 0) -> None:
        if not isinstance(value, list):
            self._check_is_leaf(value, level)
            self.elements.append(self.read(value, self.port))
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


def _read_float(value: Any, port: Port) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _type_error(value, port)
    return float(value)


def _read_int(value: Any, port: Port) -> int:
    limits = np.iinfo(port.kind.dtype) if port.kind else np.iinfo(np.int64)
    if isinstance(value, bool) or not isinstance(value, int):
        raise _type_error(value, port)
    if not limits.min <= value <= limits.max:
        raise _type_error(value, port)
    return value


def _read_bool(value: Any, port: Port) -> bool:
    if not isinstance(value, bool):
        raise _type_error(value, port)
    return value


def _read_string(value: Any, port: Port) -> bytes:
    if isinstance(value, str):
        return value.encode()
    if not isinstance(value, dict):
        raise _type_error(value, port)
    if not is_base64(value):
        raise invalid(f"JSON Value: {excerpt(value)} not formatted correctly for base64 data")
    try:
        return base64.b64decode(value["b64"], validate=True)
    except binascii.Error:
        raise invalid("Unable to base64 decode") from None


_READERS: dict[str, Callable[[Any, Port], Any]] = {
    "f": _read_float,
    "i": _read_int,
    "u": _read_int,
    "b": _read_bool,
    "O": _read_string,
}


def _type_error(value: Any, port: Port) -> StatusError:
    kind = _TYPES.get(type(value)) or (str(value) if isinstance(value, bool) else "Number")
    wanted = port.kind.name if port.kind else "unknown"
    return invalid(f"JSON Value: {excerpt(value)} Type: {kind} is not of expected type: {wanted}")
