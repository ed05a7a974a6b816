"""The bodies of answers: predictions, classes, regressions, and errors.

``MakeJsonFrom...`` in TF Serving's ``util/json_tensor.cc``. Where JSON has no word for a number,
``NaN``, ``Infinity`` and ``-Infinity`` are written, as there.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson

from serving.tfserving.embedded.graph.signature import Port
from serving.tfserving.embedded.json.tensors import Form
from serving.tfserving.embedded.status import invalid
from serving.wire.rows import encode_json, plain, split_rows

_WRITABLE = {
    "float",
    "double",
    "int32",
    "int16",
    "int8",
    "uint8",
    "string",
    "int64",
    "bool",
    "uint32",
    "uint64",
}
_BYTES_SUFFIX = "_bytes"


def write_outputs(
    outputs: Mapping[str, np.ndarray], ports: Mapping[str, Port], form: Form
) -> bytes:
    """The body of an answer: bare values where there is one output, objects where there are more.

    Args:
        outputs: by name.
        ports: those of the signature, which know their element types.
        form: the request's.

    Raises:
        StatusError: no outputs, some of a type that JSON cannot carry or, in row form, without a
            batch axis or with different ones.
    """
    if not outputs:
        raise invalid("Cannot convert empty tensor map to JSON")
    if form is Form.ROW:
        _check_batches(outputs)
    values = {name: _writable(array, ports[name]) for name, array in outputs.items()}
    only = next(iter(values.values()))
    if form is Form.COLUMNAR:
        return encode_json({"outputs": values if len(values) > 1 else only})
    return encode_json({"predictions": split_rows(values) if len(values) > 1 else only})


def write_classes(result: Any) -> bytes:
    """A ClassificationResult as a list of (label, score) for each example.

    Raises:
        StatusError: it is empty.
    """
    if not result.classifications:
        raise invalid("Cannot convert empty ClassificationResults to JSON")
    rows = [
        [[each.label, _number(each.score)] for each in row.classes]
        for row in result.classifications
    ]
    return encode_json({"results": rows})


def write_regressions(result: Any) -> bytes:
    """A RegressionResult as a list of numbers.

    Raises:
        StatusError: it is empty.
    """
    if not result.regressions:
        raise invalid("Cannot convert empty RegressionResults to JSON")
    return encode_json({"results": [_number(each.value) for each in result.regressions]})


def write_error(message: str) -> bytes:
    """Spaced as there, for the texts of errors are what people read."""
    text = message.encode(errors="surrogateescape").decode(errors="replace")
    return b'{\n    "error": %s\n}' % orjson.dumps(text)


def _check_batches(outputs: Mapping[str, np.ndarray]) -> None:
    first = None
    for name, array in outputs.items():
        if not array.ndim:
            raise invalid(f"Tensor name: {name} has no shape information ")
        first = len(array) if first is None else first
        if len(array) != first:
            raise invalid(
                f"Tensor name: {name} has inconsistent batch size: {len(array)} expecting: {first}"
            )


def _writable(array: np.ndarray, port: Port) -> Any:
    kind = port.kind
    if kind is None or kind.name not in _WRITABLE:
        name = kind.name if kind else "unknown"
        raise invalid(f"Failed to write JSON value for tensor type: {name}")
    if array.dtype.kind == "O":
        return _strings(array, port.name.endswith(_BYTES_SUFFIX))
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        return _nested([_number(value) for value in array.ravel()], array.shape)
    return plain(array) if array.ndim else array[()]


def _strings(array: np.ndarray, as_bytes: bool) -> Any:
    """As text, unless the output's name says bytes; what is no UTF-8 is replaced."""
    flat = array.ravel().tolist()
    if as_bytes:
        return _nested([{"b64": base64.b64encode(each).decode()} for each in flat], array.shape)
    return _nested([each.decode(errors="replace") for each in flat], array.shape)


def _number(value: float | np.floating[Any]) -> Any:
    """A float32's shortest digits; single numbers come from protobuf as doubles."""
    if np.isnan(value):
        return orjson.Fragment(b"NaN")
    if np.isinf(value):
        return orjson.Fragment(b"Infinity" if value > 0 else b"-Infinity")
    return value if isinstance(value, np.floating) else np.float32(value)


def _nested(flat: list[Any], shape: tuple[int, ...]) -> Any:
    array = np.empty(len(flat), object)
    array[:] = flat
    return array.reshape(shape).tolist()
