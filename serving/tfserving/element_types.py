"""The element types of tensors in their spellings: the wire's, TensorFlow's and numpy's.

Numbers, names and field names are those of ``types.proto`` and ``tensor.proto`` in
``tensorflow/core/framework``; which field holds what: ``ProtoHelper`` in ``tensor.cc`` there.
Resources and variants are left out: nothing outside a process can make or read them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np


@dataclass(frozen=True)
class ElementType:
    """One element type.

    Attributes:
        number: the ``DataType`` enum's.
        name: TensorFlow's own, as error messages print it (``float``, not ``float32``).
        dtype: numpy's; object for strings. Quantised numbers have one named field, as TensorFlow's
            session wants them, so that ``qint8`` is not taken for ``int8``.
        field: the repeated field that holds values where ``tensor_content`` does not.
        stored: what an element in that field is, if something else than ``dtype``: the bits of
            a half as a whole number, or one of a complex number's two parts.
    """

    number: int
    name: str
    dtype: np.dtype[Any]
    field: str
    stored: np.dtype[Any] | None = None

    @property
    def enum_name(self) -> str:
        """As ``DataType_Name`` spells it."""
        return f"DT_{self.name.upper()}"


def _quantised(name: str, bits: Any) -> np.dtype[Any]:
    return np.dtype([(name, bits)])


def _type(number: int, name: str, dtype: Any, field: str, stored: Any = None) -> ElementType:
    return ElementType(
        number, name, np.dtype(dtype), field, None if stored is None else np.dtype(stored)
    )


STRING = _type(7, "string", object, "string_val")

ELEMENT_TYPES = (
    _type(1, "float", np.float32, "float_val"),
    _type(2, "double", np.float64, "double_val"),
    _type(3, "int32", np.int32, "int_val"),
    _type(4, "uint8", np.uint8, "int_val"),
    _type(5, "int16", np.int16, "int_val"),
    _type(6, "int8", np.int8, "int_val"),
    STRING,
    _type(8, "complex64", np.complex64, "scomplex_val", np.float32),
    _type(9, "int64", np.int64, "int64_val"),
    _type(10, "bool", np.bool_, "bool_val"),
    _type(11, "qint8", _quantised("qint8", np.int8), "int_val", np.int8),
    _type(12, "quint8", _quantised("quint8", np.uint8), "int_val", np.uint8),
    _type(13, "qint32", _quantised("qint32", np.int32), "int_val", np.int32),
    _type(14, "bfloat16", ml_dtypes.bfloat16, "half_val", np.uint16),
    _type(15, "qint16", _quantised("qint16", np.int16), "int_val", np.int16),
    _type(16, "quint16", _quantised("quint16", np.uint16), "int_val", np.uint16),
    _type(17, "uint16", np.uint16, "int_val"),
    _type(18, "complex128", np.complex128, "dcomplex_val", np.float64),
    _type(19, "half", np.float16, "half_val", np.uint16),
    _type(22, "uint32", np.uint32, "uint32_val"),
    _type(23, "uint64", np.uint64, "uint64_val"),
    _type(24, "float8_e5m2", ml_dtypes.float8_e5m2, "float8_val", np.uint8),
    _type(25, "float8_e4m3fn", ml_dtypes.float8_e4m3fn, "float8_val", np.uint8),
    _type(29, "int4", ml_dtypes.int4, "int_val", np.int8),
    _type(30, "uint4", ml_dtypes.uint4, "int_val", np.uint8),
)

BY_NUMBER = {each.number: each for each in ELEMENT_TYPES}
_BY_DTYPE = {each.dtype: each for each in ELEMENT_TYPES}


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
