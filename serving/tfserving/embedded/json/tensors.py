"""The bodies of ``:predict`` requests.

Rules, wording and the order of checks follow TF Serving's ``util/json_tensor.cc`` and its
description in https://www.tensorflow.org/tfx/serving/api_rest. Values are read whole, by numpy,
where all of them are as they should be; only where they are not, element by element, which finds
the words for what is wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from itertools import chain
from typing import Any

import numpy as np

from serving.tfserving.embedded.graph.signature import Port, Signature
from serving.tfserving.embedded.json.elements import (
    is_base64,
    read_by_element,
    read_text,
)
from serving.tfserving.embedded.json.excerpt import excerpt
from serving.tfserving.embedded.json.reader import as_text
from serving.tfserving.embedded.json.text import parse_json
from serving.tfserving.embedded.status import StatusError, invalid
from serving.tfserving.tensor_proto import MAX_RANK

SIGNATURE_KEY = "signature_name"

_DTYPES = {"float": np.float32, "double": np.float64, "int32": np.int32, "int64": np.int64}


class Form(Enum):
    """A request's form, which is also its answer's."""

    ROW = "instances"
    COLUMNAR = "inputs"


@dataclass(frozen=True)
class Body:
    """A parsed request.

    Attributes:
        document: the JSON object.
        signature_name: empty where the request names none.
        has_truths: whether ``true`` or ``false`` may be in it; numpy would take those for numbers.
    """

    document: dict[str, Any]
    signature_name: str = ""
    has_truths: bool = True


def parse_body(body: bytes) -> Body:
    """Read a request's JSON.

    Raises:
        StatusError: it is not a JSON object, or names no signature where it should.
    """
    document = parse_json(body)
    if not isinstance(document, dict):
        raise invalid(f"JSON Value: {excerpt(document)} Is not object")
    name = document.get(SIGNATURE_KEY, "")
    if not isinstance(name, str):
        raise invalid(
            f"JSON Value: {excerpt(document)} not formatted correctly. "
            f"'{SIGNATURE_KEY}' key must be a string value."
        )
    return Body(document, as_text(name), b"true" in body or b"false" in body)


def read_inputs(body: Body, signature: Signature) -> tuple[Form, dict[str, np.ndarray]]:
    """The tensors of a request.

    Returns:
        the form in which it came, and one array per input.

    Raises:
        StatusError: the document does not have the form that the signature asks for.
    """
    document = body.document
    if not signature.inputs:
        raise invalid(f"Failed to get input map for signature: {body.signature_name or 'DEFAULT'}")
    if Form.ROW.value in document and Form.COLUMNAR.value in document:
        raise invalid(
            f"JSON Value: {excerpt(document)} Not formatted correctly expecting only one of "
            "'inputs' or 'instances' keys to exist "
        )
    if Form.ROW.value in document:
        return Form.ROW, _read_rows(body, signature)
    if Form.COLUMNAR.value in document:
        return Form.COLUMNAR, _read_columns(body, signature)
    raise invalid("Missing 'inputs' or 'instances' key")


def _read_rows(body: Body, signature: Signature) -> dict[str, np.ndarray]:
    document = body.document
    rows = document[Form.ROW.value]
    if not isinstance(rows, list):
        raise invalid(f"JSON Value: {excerpt(document)} Expecting 'instances' to be an list/array")
    if not rows:
        raise invalid(f"JSON Value: {excerpt(document)} No values in 'instances' array")
    if not isinstance(rows[0], dict) and len(signature.inputs) > 1:
        raise invalid(
            "instances is a plain list, but expecting list of objects as multiple "
            "input tensors required as per tensorinfo_map"
        )
    quick = _read_rows_whole(rows, signature, body.has_truths)
    return _Rows(signature).read(rows) if quick is None else quick


def _read_rows_whole(
    rows: list[Any], signature: Signature, has_truths: bool
) -> dict[str, np.ndarray] | None:
    """All rows at once; None where anything is unusual: bytes, too, which might be an input named ``b64``."""
    if is_base64(rows[0]):
        return None
    if isinstance(rows[0], dict):
        try:
            names = signature.inputs.keys()
            if any(row.keys() != names for row in rows):
                return None
            columns = {name: [row[name] for row in rows] for name in names}
        except AttributeError:  # a row that is no object
            return None
    else:
        columns = dict.fromkeys(signature.inputs, rows)
    found = {}
    for name, port in signature.inputs.items():
        whole = _read_whole(columns[name], port, has_truths)
        if whole is None:
            return None
        found[name] = whole
    return found


class _Rows:
    """Row by row and key by key, as ``FillTensorMapFromInstancesList`` does it."""

    def __init__(self, signature: Signature) -> None:
        self._signature = signature
        self._found: dict[str, list[np.ndarray]] = {}

    def read(self, rows: list[Any]) -> dict[str, np.ndarray]:
        are_objects = _is_object(rows[0])
        for number, row in enumerate(rows):
            if are_objects:
                self._read_object(number, row)
            else:
                self._read_value(number, row)
        return {name: np.stack(arrays) for name, arrays in self._found.items()}

    def _read_object(self, number: int, row: Any) -> None:
        if not _is_object(row):
            raise invalid(f"Expecting object but got list at item {number} of input list")
        for name, value in row.items():
            self._add(value, name, f"Failed to process element: {number} key: {name}")
        if row.keys() != self._signature.inputs.keys():
            raise invalid(
                f"Failed to process element: {number} of 'instances' list. JSON object: "
                f"{excerpt(row)} keys must be equal to: {','.join(sorted(self._signature.inputs))}"
            )

    def _read_value(self, number: int, row: Any) -> None:
        if _is_object(row):
            raise invalid(f"Expecting value/list but got object at item {number} of input list")
        name = next(iter(self._signature.inputs))
        self._add(row, name, f"Failed to process element: {number}")

    def _add(self, value: Any, name: str, where: str) -> None:
        try:
            if name not in self._signature.inputs:
                raise invalid(f"JSON object: does not have named input: {name}")
            array = read_by_element(value, self._signature.inputs[name])
            if array.ndim == MAX_RANK:  # and one more for the rows
                raise invalid(
                    f'Input "{name}" has rank {array.ndim + 1}; at most {MAX_RANK} is possible'
                )
            rows = self._found.setdefault(name, [])
            rows.append(array)
            _check_alike(rows[0], array)
        except StatusError as error:
            raise invalid(f"{where} of 'instances' list. Error: {error}") from error


def _read_columns(body: Body, signature: Signature) -> dict[str, np.ndarray]:
    columns = body.document[Form.COLUMNAR.value]
    if not _is_object(columns):
        if len(signature.inputs) > 1:
            raise invalid(
                "inputs is a plain value/list, but expecting an object as multiple "
                "input tensors required as per tensorinfo_map"
            )
        columns = dict.fromkeys(signature.inputs, columns)
    tensors = {}
    for name, port in signature.inputs.items():
        if name not in columns:
            raise invalid(f"Missing named input: {name} in 'inputs' object.")
        value = columns[name]
        whole = _read_whole(value, port, body.has_truths) if isinstance(value, list) else None
        tensors[name] = read_by_element(value, port) if whole is None else whole
    return tensors


_NUMBERS = {"float": "fiu", "double": "fiu", "int32": "i", "int64": "i"}
"""Numbers that are read whole, and what numpy must make of them if they are to be taken."""

_WORDS: dict[str, type] = {"string": str, "bool": bool}


def _read_whole(values: list[Any], port: Port, has_truths: bool) -> np.ndarray | None:
    """All values at once; None where lists or types differ, or a number is too large."""
    name = port.kind.name if port.kind else ""
    if not values or (has_truths and name in _NUMBERS):
        return None
    if name in _NUMBERS:
        return _read_numbers(values, name)
    return _read_words(values, name) if name in _WORDS else None


def _read_numbers(values: list[Any], name: str) -> np.ndarray | None:
    try:
        shape, flat = _flatten(values)
        array = np.array(flat)
    except (ValueError, TypeError, OverflowError):
        return None
    if array.dtype.kind not in _NUMBERS[name]:
        return None
    if name == "int32" and not _are_int32(array):
        return None
    if array.dtype.kind != "f" and name == "float":
        array = array.astype(np.float64)  # as RapidJSON's GetFloat, whatever else is in the list
    with np.errstate(over="ignore"):  # a double beyond float's range becomes infinity
        return array.astype(_DTYPES[name], copy=False).reshape(shape)


def _read_words(values: list[Any], name: str) -> np.ndarray | None:
    try:
        shape, flat = _flatten(values, is_exact=True)
    except (ValueError, TypeError):
        return None
    if set(map(type, flat)) != {_WORDS[name]}:
        return None
    if name == "bool":
        return np.array(flat).reshape(shape)
    array = np.empty(len(flat), object)
    array[:] = [read_text(value) for value in flat]
    return array.reshape(shape)


def _flatten(values: list[Any], is_exact: bool = False) -> tuple[list[int], list[Any]]:
    """The shape of nested lists and what is in the innermost.

    A pass of C for each level: where lists are short, twice as fast as numpy's own discovery of
    the shape.

    Args:
        values: not empty.
        is_exact: whether to see to it that texts are not taken for lists of letters, which does not
            matter where texts are refused later on.

    Raises:
        ValueError: lists beside other values, of different sizes, or too deep for numpy.
        TypeError: likewise.
    """
    shape, level = [len(values)], values
    while type(level[0]) is list:
        sizes = set(map(len, level))
        if len(sizes) > 1 or 0 in sizes or (is_exact and set(map(type, level)) != {list}):
            raise ValueError
        shape += sizes
        level = list(chain.from_iterable(level))
    if len(shape) > MAX_RANK:
        raise ValueError
    return shape, level


def _are_int32(array: np.ndarray) -> bool:
    limits = np.iinfo(np.int32)
    return bool(array.min() >= limits.min and array.max() <= limits.max)


def _check_alike(first: np.ndarray, other: np.ndarray) -> None:
    if first.size != other.size:
        raise invalid(f"Expecting tensor size: {first.size} but got: {other.size}")
    if first.shape != other.shape:
        raise invalid(f"Expecting shape {_spell(first.shape)} but got: {_spell(other.shape)}")


def _spell(shape: tuple[int, ...]) -> str:
    return f"[{','.join(map(str, shape))}]"


def _is_object(value: Any) -> bool:
    return isinstance(value, dict) and not is_base64(value)
