"""JSON in row form: ``{"instances": [{...}, ...]}`` to a server, ``{"predictions": [...]}`` back.

TF Serving's REST interface defines it ("row format" in
https://www.tensorflow.org/tfx/serving/api_rest). Our TorchServe handler reads and writes the same,
so that both servers get the identical body. Where a model has one output, a row of the answer is
the bare value instead of an object.

Decimals are the shortest that read back as the same number; NaN and Infinity are written as
TF Serving writes them, although JSON has none; bytes travel as ``{"b64": "..."}``.
"""

from __future__ import annotations

import base64
import json
import math
from itertools import chain, zip_longest
from typing import Any

import numpy as np
import orjson

from models.contract import Contract, Tensors, TensorSpec
from models.errors import NameMismatch, ServerFault, ShapeMismatch

INSTANCES = "instances"
PREDICTIONS = "predictions"

_EXCERPT = 200

_ROUNDED_TWICE, _ITS_DECIMAL = np.float32(7.0385307e-26), b"7.038531e-26"
"""The one float32 whose shortest decimal, read as a double, is another one: all were tried.

JSON parsers read doubles and round those to float32; that decimal ends up at the neighbour.
"""


def encode_rows(inputs: Tensors) -> bytes:
    """The body of a predict request.

    Args:
        inputs: one array (N, ...) for every input of the model, all with the same N.

    Returns:
        UTF-8 JSON, an object per row even where there is one input.

    Raises:
        ShapeMismatch: the inputs have different numbers of rows.
    """
    rows = split_rows({name: plain(array) for name, array in inputs.items()})
    return encode_json({INSTANCES: rows})


def decode_rows(body: bytes, contract: Contract) -> dict[str, np.ndarray]:
    """The outputs in the body of an answer, under the names that the server gave them.

    Args:
        body: UTF-8 JSON.
        contract: gives dtypes, and the name of the output where the answer is bare values.

    Returns:
        one array (N, ...) per output. A name that the contract lacks is kept, so that the
        comparison with the contract reports it.

    Raises:
        ServerFault: the body is not JSON of this form.
        NameMismatch: rows differ in names, or bare values where the contract has several outputs.
        ShapeMismatch: the rows of an output cannot be stacked into one array of its dtype.
    """
    rows = _predictions(body)
    if not rows:
        return {spec.name: np.empty(spec.batch(0), spec.dtype) for spec in contract.outputs}
    specs = {spec.name: spec for spec in contract.outputs}
    return {
        name: _stack(name, column, specs.get(name))
        for name, column in _columns(rows, contract).items()
    }


def encode_json(value: Any) -> bytes:
    """UTF-8 JSON of nested lists, dicts and arrays as :func:`plain` returns them."""
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)


def encode_numbers(array: np.ndarray) -> bytes:
    """Numbers as compact JSON that reads back exactly.

    What is rare shows in the text, and looking there takes less time than numpy where numbers are few.
    """
    text = encode_json(np.ascontiguousarray(array) if array.ndim else array[()])
    if _ITS_DECIMAL in text and array.dtype == np.float32:
        return encode_numbers(array.astype(np.float64))
    return _with_words(text, array.ravel()) if b"n" in text else text  # of null


def _with_words(text: bytes, numbers: np.ndarray) -> bytes:
    """``NaN``, ``Infinity`` and ``-Infinity`` in the places of ``null``."""
    words = [json.dumps(each).encode() for each in numbers[~np.isfinite(numbers)].tolist()]
    around = zip_longest(text.split(b"null"), words, fillvalue=b"")
    return b"".join(chain.from_iterable(around))


def decode_json(body: bytes) -> Any:
    """JSON, and beside it the NaN and Infinity that TF Serving writes although JSON has none.

    Raises:
        ValueError: not JSON, with the place of the mistake.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        if b"NaN" in body or b"Inf" in body:
            return json.loads(body)
        raise


def plain(array: np.ndarray) -> Any:
    """An array in the form that :func:`encode_json` writes exactly: itself, or nested lists."""
    if array.dtype.kind in "OSU" or (array.dtype.kind == "f" and not np.isfinite(array).all()):
        return _spell_out(array.tolist())
    if array.dtype == np.float32 and (np.abs(array) == _ROUNDED_TWICE).any():
        return np.ascontiguousarray(array, np.float64)
    return np.ascontiguousarray(array)


def split_rows(columns: dict[str, Any]) -> list[dict[str, Any]]:
    """Columns of N rows as N objects.

    Raises:
        ShapeMismatch: the columns have different lengths.
    """
    lengths = {name: len(rows) for name, rows in columns.items()}
    if len(set(lengths.values())) > 1:
        raise ShapeMismatch(f"The tensors have different numbers of rows: {lengths}.")
    names = list(columns)
    return [dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _spell_out(value: Any) -> Any:
    if isinstance(value, list):
        return [_spell_out(each) for each in value]
    if isinstance(value, bytes):
        return {"b64": base64.b64encode(value).decode()}
    if isinstance(value, float) and not math.isfinite(value):
        return orjson.Fragment(json.dumps(value))
    return value


def _predictions(body: bytes) -> list[Any]:
    try:
        rows = decode_json(body)[PREDICTIONS]
    except (ValueError, KeyError, TypeError) as error:
        raise ServerFault(f"The answer is not row JSON: {_excerpt(body)}") from error
    if not isinstance(rows, list):
        raise ServerFault(f"The answer's {PREDICTIONS!r} is not a list: {_excerpt(body)}")
    return rows


def _columns(rows: list[Any], contract: Contract) -> dict[str, list[Any]]:
    if not isinstance(rows[0], dict):
        if len(contract.outputs) != 1:
            raise NameMismatch(
                f"The answer is bare values, so one output; the contract says "
                f"{sorted(contract.output_names)}."
            )
        return {contract.output_names[0]: rows}
    names = rows[0].keys()
    if any(not isinstance(row, dict) or row.keys() != names for row in rows):
        raise NameMismatch(f"The answer's rows differ in names; the first has {sorted(names)}.")
    return {name: [row[name] for row in rows] for name in names}


def _stack(name: str, column: list[Any], spec: TensorSpec | None) -> np.ndarray:
    try:
        return np.asarray(column, dtype=spec.dtype if spec else None)
    except (ValueError, TypeError, OverflowError) as error:
        wanted = spec.dtype if spec else "one array"
        raise ShapeMismatch(f"{name} cannot be read as {wanted}: {error}.") from error


def _excerpt(body: bytes) -> str:
    return body[:_EXCERPT].decode(errors="replace")
