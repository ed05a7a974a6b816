"""numpy arrays as TensorProto and back, without TensorFlow.

Numbers and field names are those of ``tensorflow/core/framework/types.proto`` and ``tensor.proto``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from serving.tfserving.messages import TensorProto

MAX_REPEATED_BYTES = 256 * 1024 * 1024
"""Largest tensor that a last value may be repeated to fill: a tiny message can claim any shape."""


@dataclass(frozen=True)
class ElementType:
    """One element type in its three spellings.

    Attributes:
        number: the ``DataType`` enum's.
        name: TensorFlow's own, as error messages print it (``float``, not ``float32``).
        dtype: numpy's; object for strings.
        field: the repeated field that holds values where ``tensor_content`` does not.
    """

    number: int
    name: str
    dtype: np.dtype[Any]
    field: str


STRING = ElementType(7, "string", np.dtype(object), "string_val")

ELEMENT_TYPES = (
    ElementType(1, "float", np.dtype(np.float32), "float_val"),
    ElementType(2, "double", np.dtype(np.float64), "double_val"),
    ElementType(3, "int32", np.dtype(np.int32), "int_val"),
    ElementType(4, "uint8", np.dtype(np.uint8), "int_val"),
    ElementType(5, "int16", np.dtype(np.int16), "int_val"),
    ElementType(6, "int8", np.dtype(np.int8), "int_val"),
    STRING,
    ElementType(9, "int64", np.dtype(np.int64), "int64_val"),
    ElementType(10, "bool", np.dtype(np.bool_), "bool_val"),
    ElementType(17, "uint16", np.dtype(np.uint16), "int_val"),
    ElementType(22, "uint32", np.dtype(np.uint32), "uint32_val"),
    ElementType(23, "uint64", np.dtype(np.uint64), "uint64_val"),
)

BY_NUMBER = {each.number: each for each in ELEMENT_TYPES}
_BY_DTYPE = {each.dtype: each for each in ELEMENT_TYPES}

# Tags of the packed fields whose bytes are exactly the array's: float_val = 5, double_val = 6, both
# length-delimited. Merging them as bytes is far faster than handing over Python numbers.
_PACKED_TAGS = {1: b"\x2a", 2: b"\x32"}


def element_type(array: np.ndarray) -> ElementType:
    """The array's element type; any kind of text is ``string``.

    Raises:
        ValueError: TensorProto has none for it.
    """
    if array.dtype.kind in "OSU":
        return STRING
    found = _BY_DTYPE.get(array.dtype.newbyteorder("="))
    if found is None:
        raise ValueError(f"TensorProto has no element type for {array.dtype}")
    return found


def to_proto(array: np.ndarray, as_content: bool = True) -> Any:
    """A TensorProto of an array.

    Args:
        array: any shape; text is encoded as UTF-8.
        as_content: numbers as raw bytes in ``tensor_content``; else in the type's own repeated
            field, as TF Serving answers unless told otherwise.

    Raises:
        ValueError: TensorProto has no such element type.
    """
    kind = element_type(array)
    proto = TensorProto(dtype=kind.number)
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    if kind is STRING:
        proto.string_val.extend(_as_bytes(value) for value in array.ravel().tolist())
    elif as_content:
        proto.tensor_content = _little_endian(array)
    else:
        _fill_values(proto, kind, array)
    return proto


def from_proto(proto: Any) -> np.ndarray:
    """The array in a TensorProto, read-only where it shares the message's bytes.

    As in TensorFlow, fewer values than elements mean that the last one repeats.

    Raises:
        ValueError: unknown element type, unknown or negative size, or too many or too few values.
    """
    kind = BY_NUMBER.get(proto.dtype)
    if kind is None:
        raise ValueError(f"element type {proto.dtype} is not supported")
    shape = _shape_of(proto)
    if proto.tensor_content and kind is not STRING:
        return _from_content(proto.tensor_content, kind, shape)
    return _spread(np.array(getattr(proto, kind.field), kind.dtype), shape)


def _shape_of(proto: Any) -> tuple[int, ...]:
    shape = tuple(dimension.size for dimension in proto.tensor_shape.dim)
    if proto.tensor_shape.unknown_rank or any(size < 0 for size in shape):
        raise ValueError("the shape of a tensor with values must be known")
    return shape


def _from_content(content: bytes, kind: ElementType, shape: tuple[int, ...]) -> np.ndarray:
    wanted = math.prod(shape) * kind.dtype.itemsize
    if len(content) != wanted:
        raise ValueError(
            f"tensor_content has {len(content)} bytes; shape {list(shape)} of {kind.name} "
            f"needs {wanted}"
        )
    return np.frombuffer(content, kind.dtype.newbyteorder("<")).reshape(shape)


def _spread(values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    elements = math.prod(shape)
    if len(values) == elements:
        return values.reshape(shape)
    if len(values) > elements or not len(values):
        raise ValueError(f"{len(values)} values for shape {list(shape)}")
    if elements * values.itemsize > MAX_REPEATED_BYTES:
        raise ValueError(f"{len(values)} values for shape {list(shape)}: too large to repeat them")
    missing = np.full(elements - len(values), values[-1], values.dtype)
    return np.concatenate([values, missing]).reshape(shape)


def _fill_values(proto: Any, kind: ElementType, array: np.ndarray) -> None:
    tag = _PACKED_TAGS.get(kind.number)
    if tag is None:
        getattr(proto, kind.field).extend(array.ravel().tolist())
    elif array.size:
        content = _little_endian(array)
        proto.MergeFromString(tag + _varint(len(content)) + content)


def _varint(number: int) -> bytes:
    """Protobuf's base-128 integer (https://protobuf.dev/programming-guides/encoding/#varints)."""
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def _little_endian(array: np.ndarray) -> bytes:
    return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()


def _as_bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()
