"""TensorProtos: right ones, and those that no client would send."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from benchmarks.fuzz.inputs.served import IDENTITIES, Row
from serving.tfserving.element_types import BY_NUMBER, ELEMENT_TYPES
from serving.tfserving.messages import TensorProto

NUMBERS = dict(zip(IDENTITIES, (each.number for each in ELEMENT_TYPES), strict=True))
"""Of element types in the ``DataType`` enum; both lists have its order."""

_ODD_NUMBERS = [0, 20, 21, 23, 26, 27, 28, 31, 32, 101, 107, 2**31 - 1, -1, *NUMBERS.values()]

SIZES = [0, 1, 1, 2, 3, 5, 8, 17, -1, -2, -(2**63), 2**31 - 1, 2**31, 2**32 + 1, 2**62, 2**63 - 1]
"""None between some and far too many: a tensor of that many elements is answered, if slowly."""

_MOST_BESIDE_ZERO = 17
"""No element, so no refusal; but a model that sums over the size of 0 answers with all the others."""

_FIELDS: dict[str, list[Any]] = {
    "float_val": [0.0, 1.5, float("nan"), float("inf"), 3e38],
    "double_val": [0.0, -1.5, 1e308, float("nan")],
    "int_val": [0, 1, -1, 255, 256, 2**31 - 1, -(2**31)],
    "string_val": [b"", b"a", b"\xff", b"x" * 300],
    "scomplex_val": [0.0, 1.0],
    "int64_val": [0, 1, -1, 2**63 - 1, -(2**63)],
    "bool_val": [True, False],
    "dcomplex_val": [0.0, 1.0],
    "half_val": [0, 1, 0x7C00, 0xFFFF, 2**31 - 1, -1],
    "uint32_val": [0, 2**32 - 1],
    "uint64_val": [0, 2**64 - 1],
}
_CONTENT = [
    b"",
    b"\x00",
    b"\x00" * 3,
    b"\x00" * 4,
    b"\xff" * 8,
    b"\x01" * 16,
    b"\x80" * 12,
    b"\x05abc",
]


@st.composite
def tensors(draw: st.DrawFn, row: Row) -> Any:
    """For an input of that kind: two thirds are as it wants them, at least in what they say."""
    kind, shape = row
    proto = TensorProto(dtype=NUMBERS[kind])
    choice = draw(st.integers(0, 8))
    if choice < 4:
        _fill(draw, proto, (draw(st.integers(1, 4)), *shape))
        return proto
    if choice == 4:
        proto.dtype = draw(st.sampled_from(_ODD_NUMBERS))
    sizes = (draw(st.integers(1, 3)), *shape)
    if choice >= 6:
        sizes = tuple(draw(st.lists(st.sampled_from(SIZES), max_size=4)))
    if 0 in sizes:
        sizes = tuple(min(size, _MOST_BESIDE_ZERO) for size in sizes)
    if choice == 8:
        sizes += (1,) * draw(st.sampled_from([4, 8, 60, 70, 300]))
    _fill(draw, proto, sizes)
    if choice in (5, 7):
        _spoil(draw, proto)
    return proto


def _fill(draw: st.DrawFn, proto: Any, sizes: tuple[int, ...]) -> None:
    """With that shape and values of the type's own: all of them, one for all, or too few."""
    for size in sizes:
        proto.tensor_shape.dim.add(size=size)
    kind = BY_NUMBER.get(proto.dtype)
    elements = int(np.prod([float(size) for size in sizes]))
    if kind is None:
        return
    known = 0 <= elements < 1000
    if known and kind.name != "string" and draw(st.booleans()):
        proto.tensor_content = np.ones(elements, kind.dtype).tobytes()
    elif kind.field in _FIELDS:
        values = draw(st.lists(st.sampled_from(_FIELDS[kind.field]), max_size=3))
        getattr(proto, kind.field).extend(values)
    else:
        proto.float8_val = draw(st.binary(max_size=3))


def _spoil(draw: st.DrawFn, proto: Any) -> None:
    choice = draw(st.integers(0, 3))
    if choice == 0:
        proto.tensor_content = draw(st.sampled_from(_CONTENT))
    elif choice == 1:
        proto.tensor_shape.unknown_rank = True
    elif choice == 2:
        proto.version_number = draw(st.sampled_from([-1, 1, 2**31 - 1]))
    else:
        field = draw(st.sampled_from(sorted(_FIELDS)))
        getattr(proto, field).append(draw(st.sampled_from(_FIELDS[field])))
