"""The models and signatures that inputs are built around: those of ``subject``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Row = tuple[str, tuple[int, ...]]
"""Element type and shape of one row, without the batch dimension."""

DIGITS, HALF, BATCHED, MIRROR = "digits", "half", "batched", "mirror"
VERSIONS = {DIGITS: 3, HALF: 123, BATCHED: 123, MIRROR: 1}
LABEL = "stable"
"""Of half's version."""

_IDENTITIES = (
    "float32 float64 int32 uint8 int16 int8 string complex64 int64 bool qint8 quint8 qint32 bfloat16 "
    "qint16 quint16 uint16 complex128 float16 uint32 uint64 float8_e5m2 float8_e4m3fn int4 uint4"
)
IDENTITIES = tuple(_IDENTITIES.split())
"""half's signatures ``same_<type>`` give back what they are given, whatever its shape."""

_HALF: dict[str, dict[str, Row]] = {
    "serving_default": {"x": ("float32", (1,))},
    "pair": {"number": ("float32", ()), "word": ("string", ())},
    "unequal": {"number": ("float32", ()), "word": ("string", ())},
    "optional": {"number": ("float32", ()), "word": ("string", ())},
    "words_bytes": {"word": ("string", ())},
    "other_method": {"x": ("float32", ())},
    **{f"same_{name}": {"value": (name, ())} for name in IDENTITIES},
}
SIGNATURES: Mapping[str, Mapping[str, Mapping[str, Row]]] = {
    DIGITS: {
        "serving_default": {"image": ("float32", (8, 8, 1))},
        "one_output": {"image": ("float32", (8, 8, 1))},
        "shout": {"word": ("string", ()), "count": ("int64", ())},
    },
    HALF: _HALF,
    BATCHED: _HALF,
    MIRROR: {
        "serving_default": {"x": ("float32", (2,))},
        "odd": {"x": ("float32", (2,))},
        "pair": {"a": ("float32", ()), "b": ("float32", ())},
    },
}
"""By model and signature, the inputs."""

NUMBERS: Sequence[Row] = [
    *(("float32", shape) for shape in ((), (1,), (2,), (1, 1), (2, 3))),
    *(("float64", shape) for shape in ((), (2,))),
]
"""Where a signature's one input is such a one, its numbers are read without their lists."""

_OF_EXAMPLES = (
    "regress_x_to_y regress_flat classify_x_to_y classify_names classify_both classify_mismatch "
    "classify_numbers classify_flat regress_wide regress_whole regress_none regress_other "
    "regress_renamed classify_renamed serving_default same_string"
)
OF_EXAMPLES = tuple(_OF_EXAMPLES.split())
"""half's signatures that are asked for with ``tf.Example``s; the last two are made for something else."""

PLACES = [(model, signature) for model, each in SIGNATURES.items() for signature in each]
PLACES_OF_NUMBERS = [
    (model, signature)
    for model, signature in PLACES
    if signature in ("serving_default", "one_output", "odd")
]
"""Those whose one input is such a one: there are few of them."""
