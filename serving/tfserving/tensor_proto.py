"""numpy arrays as TensorProto and back, without TensorFlow.

What is taken follows ``Tensor::FromProto`` in ``tensorflow/core/framework/tensor.cc``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from serving.tfserving.element_types import (
    BY_NUMBER,
    ELEMENT_TYPES,
    STRING,
    ElementType,
    element_type,
)
from serving.tfserving.messages import TensorProto

__all__ = [
    "BY_NUMBER",
    "ELEMENT_TYPES",
    "STRING",
    "ElementType",
    "element_type",
    "from_proto",
    "to_proto",
]

MAX_REPEATED_BYTES = 256 * 1024 * 1024
"""Largest tensor that a value may be repeated to fill: a tiny message can claim any shape. Of an empty
tensor the sizes beside 0 make no larger one: summed up over its size of 0, it would be that large."""

# Tags of the packed fields whose bytes are exactly the array's: float_val = 5, double_val = 6, both
# length-delimited. Merging them as bytes is far faster than handing over Python numbers.
_PACKED_TAGS = {1: b"\x2a", 2: b"\x32"}

MAX_RANK = 64
"""numpy's limit; TensorFlow's own is 254."""

_MAX_SIZE = 2**63 - 1


def to_proto(
    array: np.ndarray,
    as_content: bool = True,
    kind: ElementType | None = None,
    strings_too: bool = False,
) -> Any:
    """A TensorProto of an array.

    Args:
        array: any shape; text is encoded as UTF-8.
        as_content: numbers as raw bytes in ``tensor_content``; else in the type's own repeated
            field, as TF Serving answers unless told otherwise.
        kind: element type, where the array's dtype does not say it: TensorFlow's session returns
            quantised numbers as plain whole numbers.
        strings_too: strings as content as well, as TF Serving does and few clients can read.

    Raises:
        ValueError: TensorProto has no such element type.
    """
    kind = kind or element_type(array)
    proto = TensorProto(dtype=kind.number)
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    if kind is STRING:
        _fill_strings(proto, array, as_content and strings_too)
    elif as_content:
        proto.tensor_content = _little_endian(array)
    else:
        _fill_values(proto, kind, array)
    return proto


def from_proto(proto: Any) -> np.ndarray:
    """The array in a TensorProto, read-only where it shares the message's bytes.

    As in TensorFlow, fewer values than elements mean that the last one repeats, none at all mean
    zeros or empty strings, and values beyond the elements are left.

    Raises:
        ValueError: unknown element type, unknown or negative size, ``tensor_content`` of another
            length than the shape's, or a shape too large for its values.
    """
    kind = BY_NUMBER.get(proto.dtype)
    if kind is None:
        raise ValueError(f"element type {proto.dtype} is not supported")
    shape = _shape_of(proto)
    elements = math.prod(shape)
    if not elements:
        if math.prod(size or 1 for size in shape) * kind.dtype.itemsize > MAX_REPEATED_BYTES:
            raise ValueError(f"shape {list(shape)}: too large for an empty tensor")
        return np.empty(shape, kind.dtype)
    if proto.tensor_content:
        return _from_content(proto.tensor_content, kind, elements).reshape(shape)
    return _spread(_values_of(proto, kind), elements, shape)


def _shape_of(proto: Any) -> tuple[int, ...]:
    shape = tuple(dimension.size for dimension in proto.tensor_shape.dim)
    if proto.tensor_shape.unknown_rank or any(size < 0 for size in shape):
        raise ValueError("the shape of a tensor with values must be known")
    if len(shape) > MAX_RANK:
        raise ValueError(f"rank {len(shape)} is too high; at most {MAX_RANK} is possible")
    if math.prod(size or 1 for size in shape) > _MAX_SIZE:
        raise ValueError(f"shape {list(shape)} is too large")
    return shape


def _from_content(content: bytes, kind: ElementType, elements: int) -> np.ndarray:
    if kind is STRING:
        return _as_objects(list(_split_strings(content, elements)))
    wanted = elements * kind.dtype.itemsize
    if len(content) != wanted:
        raise ValueError(
            f"tensor_content has {len(content)} bytes; {elements} elements of {kind.name} "
            f"need {wanted}"
        )
    if kind.dtype == bool:  # a kernel may take any byte for what it is; 0 and 1 are the same to all
        return np.frombuffer(content, np.uint8).astype(bool)
    return np.frombuffer(content, kind.dtype.newbyteorder("<"))


def _values_of(proto: Any, kind: ElementType) -> np.ndarray:
    field = getattr(proto, kind.field)
    if kind is STRING:
        return _as_objects(list(field))
    if isinstance(field, bytes):  # float8_val is not repeated
        return np.frombuffer(field, kind.dtype)
    if kind.stored is None:
        return _cast(field, kind.dtype)
    stored = _cast(field, kind.stored)
    pairs = kind.dtype.itemsize // kind.stored.itemsize
    return stored[: len(stored) // pairs * pairs].view(kind.dtype)


def _cast(field: Any, dtype: np.dtype[Any]) -> np.ndarray:
    """As C++ casts: of a whole number that does not fit, the lower bits."""
    if dtype.kind in "iu" and dtype.itemsize < np.dtype(np.int32).itemsize:
        return np.array(field, np.int32).astype(dtype)
    return np.array(field, dtype)


def _spread(values: np.ndarray, elements: int, shape: tuple[int, ...]) -> np.ndarray:
    if len(values) >= elements:
        return values[:elements].reshape(shape)
    if elements * values.itemsize > MAX_REPEATED_BYTES:
        raise ValueError(f"{len(values)} values for shape {list(shape)}: too large to repeat them")
    spread = np.empty(elements, values.dtype)
    spread[: len(values)] = values
    spread[len(values) :] = values[-1] if len(values) else _nothing(values.dtype)
    return spread.reshape(shape)


def _nothing(dtype: np.dtype[Any]) -> Any:
    return b"" if dtype.kind == "O" else np.zeros((), dtype)


def _fill_values(proto: Any, kind: ElementType, array: np.ndarray) -> None:
    tag = _PACKED_TAGS.get(kind.number)
    if tag is not None and array.size:
        content = _little_endian(array)
        proto.MergeFromString(tag + _varint(len(content)) + content)
    elif kind.field == "float8_val":
        proto.float8_val = array.tobytes()
    elif kind.stored is not None:
        flat = np.ascontiguousarray(array).reshape(-1)
        getattr(proto, kind.field).extend(flat.view(kind.stored).tolist())
    else:
        getattr(proto, kind.field).extend(array.ravel().tolist())


def _fill_strings(proto: Any, array: np.ndarray, as_content: bool) -> None:
    """As content: the lengths, then the bytes (``PortableEncode`` in ``tensor.cc``)."""
    values = [_as_bytes(value) for value in array.ravel().tolist()]
    if as_content:
        lengths = b"".join(_varint(len(value)) for value in values)
        proto.tensor_content = lengths + b"".join(values)
    else:
        proto.string_val.extend(values)


def _split_strings(content: bytes, elements: int) -> Iterator[bytes]:
    """Raises:
    ValueError: the lengths do not add up to what is there.
    """
    if elements > len(content):
        raise ValueError(f"tensor_content has {len(content)} bytes for {elements} strings")
    lengths, at = [], 0
    for _ in range(elements):
        length, at = _read_varint(content, at)
        lengths.append(length)
    if at + sum(lengths) != len(content):
        raise ValueError(f"tensor_content has {len(content)} bytes; its lengths say otherwise")
    for length in lengths:
        yield content[at : at + length]
        at += length


def _varint(number: int) -> bytes:
    """Protobuf's base-128 integer (https://protobuf.dev/programming-guides/encoding/#varints)."""
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def _read_varint(content: bytes, at: int) -> tuple[int, int]:
    """The number there, and where it ends."""
    number = 0
    for position in range(at, min(at + 5, len(content))):  # lengths have 32 bits there
        number |= (content[position] & 0x7F) << 7 * (position - at)
        if content[position] < 0x80:
            return number, position + 1
    raise ValueError("tensor_content ends within the length of a string")


def _little_endian(array: np.ndarray) -> bytes:
    return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()


def _as_objects(values: list[bytes]) -> np.ndarray:
    array = np.empty(len(values), object)
    array[:] = values
    return array


def _as_bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()
