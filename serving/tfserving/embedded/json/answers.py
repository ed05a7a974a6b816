"""The bodies of answers: predictions, classes, regressions, and errors.

``MakeJsonFrom...`` in TF Serving's ``util/json_tensor.cc``. Where JSON has no word for a number,
``NaN``, ``Infinity`` and ``-Infinity`` are written, as there. The layout is TF Serving's too; the
digits of a number are the fewest that read back as the same one, where TF Serving has six or, if
those do not do, nine (seventeen for a double): to write them so takes ten times as long.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np

from serving.tfserving.embedded.graph.signature import Port
from serving.tfserving.embedded.json.layout import (
    Written,
    lay_out_columns,
    lay_out_list,
    lay_out_object,
    lay_out_rows,
    quote,
    quote_name,
)
from serving.tfserving.embedded.json.tensors import Form
from serving.tfserving.embedded.status import invalid
from serving.wire.rows import encode_numbers

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
_PREDICTIONS, _OUTPUTS, _RESULTS = b'"predictions"', b'"outputs"', b'"results"'
_ERROR, _BASE64 = b'"error"', b'"b64"'


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
    columns = [(quote_name(name), _write(array, ports[name])) for name, array in outputs.items()]
    if form is Form.ROW:
        return lay_out_rows(_PREDICTIONS, columns)
    return lay_out_columns(_OUTPUTS, columns)


def write_classes(result: Any) -> bytes:
    """A ClassificationResult as a list of (label, score) for each example.

    Raises:
        StatusError: it is empty.
    """
    if not result.classifications:
        raise invalid("Cannot convert empty ClassificationResults to JSON")
    rows = (
        b", ".join(b"[%b, %b]" % (quote(each.label), _number(each.score)) for each in row.classes)
        for row in result.classifications
    )
    return lay_out_list(_RESULTS, b", ".join(b"[%b]" % row for row in rows))


def write_regressions(result: Any) -> bytes:
    """A RegressionResult as a list of numbers.

    Raises:
        StatusError: it is empty.
    """
    if not result.regressions:
        raise invalid("Cannot convert empty RegressionResults to JSON")
    numbers = b", ".join(_number(each.value) for each in result.regressions)
    return lay_out_object(_RESULTS, b"[" + numbers + b"]")


def write_error(message: str) -> bytes:
    """What is wrong, as an object with one member."""
    return lay_out_object(_ERROR, quote(message))


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


def _write(array: np.ndarray, port: Port) -> Written:
    kind = port.kind
    if kind is None or kind.name not in _WRITABLE:
        name = kind.name if kind else "unknown"
        raise invalid(f"Failed to write JSON value for tensor type: {name}")
    if array.dtype.kind == "O":
        return _write_strings(array, port.name.endswith(_BYTES_SUFFIX))
    return Written(array.shape, compact=encode_numbers(array))


def _write_strings(array: np.ndarray, as_bytes: bool) -> Written:
    """As text, unless the output's name says bytes."""
    flat = array.ravel().tolist()
    if as_bytes:
        leaves = [b'"' + base64.b64encode(each) + b'"' for each in flat]
        return Written(array.shape, leaves=leaves, key=_BASE64)
    return Written(array.shape, leaves=[quote(each.decode(errors="replace")) for each in flat])


def _number(value: float) -> bytes:
    """Of a float32: single numbers come from protobuf as doubles."""
    return encode_numbers(np.asarray(value, np.float32))
