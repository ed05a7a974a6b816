"""The bodies of ``:predict`` requests and answers.

Rules and wording follow TF Serving's ``util/json_tensor.cc`` and its description in
https://www.tensorflow.org/tfx/serving/api_rest. Numbers are read whole by numpy where that is safe;
only where it is not, element by element, which also finds the words for what is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
import orjson

from serving.tfserving.embedded.json_elements import excerpt, is_base64, read_by_element
from serving.tfserving.embedded.signature import Port, Signature
from serving.tfserving.embedded.status import StatusError, invalid
from serving.wire.rows import decode_json, encode_json, plain, split_rows


class Form(Enum):
    """A request's form, which is also its answer's."""

    ROW = "instances"
    COLUMNAR = "inputs"


@dataclass(frozen=True)
class Body:
    """A parsed request.

    Attributes:
        document: the JSON object.
        has_truths: whether ``true`` or ``false`` may be in it; numpy would take those for numbers.
    """

    document: dict[str, Any]
    has_truths: bool

    @property
    def signature_name(self) -> str:
        """Empty where the request names none.

        Raises:
            StatusError: it is not a string.
        """
        name = self.document.get("signature_name", "")
        if not isinstance(name, str):
            raise invalid(
                f"JSON Value: {excerpt(self.document)} not formatted correctly. "
                "'signature_name' key must be a string value."
            )
        return name


def parse_body(body: bytes) -> Body:
    """Read a request's JSON.

    Raises:
        StatusError: it is not a JSON object.
    """
    if not body:
        raise invalid("JSON Parse error: The document is empty")
    try:
        document = decode_json(body)
    except (ValueError, RecursionError) as error:
        where = getattr(error, "pos", 0)
        raise invalid(
            f"JSON Parse error: {getattr(error, 'msg', error)} at offset: {where}"
        ) from error
    if not isinstance(document, dict):
        raise invalid(f"JSON Value: {excerpt(document)} Is not object")
    return Body(document, b"true" in body or b"false" in body)


def read_inputs(body: Body, signature: Signature) -> tuple[Form, dict[str, np.ndarray]]:
    """The tensors of a request.

    Returns:
        the form in which it came, and one array per input.

    Raises:
        StatusError: the document does not have the form that the signature asks for.
    """
    document = body.document
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


def write_outputs(outputs: Mapping[str, np.ndarray], form: Form) -> bytes:
    """The body of an answer: bare values where there is one output, objects where there are more.

    Raises:
        StatusError: in row form, outputs without a batch axis or with different ones.
    """
    values = {name: _writable(name, array) for name, array in outputs.items()}
    if form is Form.COLUMNAR:
        return encode_json({"outputs": values if len(values) > 1 else next(iter(values.values()))})
    _check_batches(outputs)
    if len(values) > 1:
        return encode_json({"predictions": split_rows(values)})
    return encode_json({"predictions": next(iter(values.values()))})


def write_error(message: str) -> bytes:
    return orjson.dumps({"error": message})


def _read_rows(body: Body, signature: Signature) -> dict[str, np.ndarray]:
    rows = body.document[Form.ROW.value]
    if not isinstance(rows, list):
        raise invalid(
            f"JSON Value: {excerpt(body.document)} Expecting 'instances' to be an list/array"
        )
    if not rows:
        raise invalid(f"JSON Value: {excerpt(body.document)} No values in 'instances' array")
    if not isinstance(rows[0], dict) and len(signature.inputs) > 1:
        raise invalid(
            "instances is a plain list, but expecting list of objects as multiple "
            "input tensors required as per tensorinfo_map"
        )
    if _is_object(rows[0]):
        return _read_named_rows(rows, body, signature)
    return _read_bare_rows(rows, body, signature)


def _read_named_rows(rows: list[Any], body: Body, signature: Signature) -> dict[str, np.ndarray]:
    names = signature.inputs.keys()
    for number, row in enumerate(rows):
        if not _is_object(row):
            raise invalid(f"Expecting object but got list at item {number} of input list")
        if row.keys() != names:
            raise _wrong_keys(number, row, signature)
    return {
        name: _read_column([row[name] for row in rows], port, body.has_truths, f" key: {name}")
        for name, port in signature.inputs.items()
    }


def _read_bare_rows(rows: list[Any], body: Body, signature: Signature) -> dict[str, np.ndarray]:
    for number, row in enumerate(rows):
        if _is_object(row):
            raise invalid(f"Expecting value/list but got object at item {number} of input list")
    [(name, port)] = signature.inputs.items()
    return {name: _read_column(rows, port, body.has_truths, "")}


def _wrong_keys(number: int, row: dict[str, Any], signature: Signature) -> StatusError:
    unknown = [name for name in row if name not in signature.inputs]
    if unknown:
        return invalid(
            f"Failed to process element: {number} key: {unknown[0]} of 'instances' list. Error: "
            f"INVALID_ARGUMENT: JSON object: does not have named input: {unknown[0]}"
        )
    return invalid(
        f"Failed to process element: {number} of 'instances' list. JSON object: {excerpt(row)} "
        f"keys must be equal to: {','.join(sorted(signature.inputs))}"
    )


def _read_column(values: list[Any], port: Port, has_truths: bool, key: str) -> np.ndarray:
    """One input of all rows, as (N, ...)."""
    whole = None if has_truths else _read_whole(values, port)
    if whole is not None:
        return whole
    rows: list[np.ndarray] = []
    for number, value in enumerate(values):
        try:
            rows.append(read_by_element(value, port))
            _check_alike(rows[0], rows[-1])
        except StatusError as error:
            raise invalid(
                f"Failed to process element: {number}{key} of 'instances' list. Error: {error}"
            ) from error
    return np.stack(rows)


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
        whole = None if body.has_truths else _read_whole(columns[name], port)
        tensors[name] = read_by_element(columns[name], port) if whole is None else whole
    return tensors


def _read_whole(value: Any, port: Port) -> np.ndarray | None:
    """All numbers at once; None where numpy might read something else than TF Serving would."""
    if port.kind is None or port.kind.dtype.kind not in "fiu":
        return None
    try:
        array = np.array(value)
    except (ValueError, OverflowError):
        return None
    wanted = port.kind.dtype
    if wanted.kind == "f":
        return array.astype(wanted) if array.dtype.kind in "fiu" else None
    if array.dtype.kind not in "iu":
        return None
    converted = array.astype(wanted)
    return converted if (converted == array).all() else None


def _check_alike(first: np.ndarray, other: np.ndarray) -> None:
    if first.size != other.size:
        raise invalid(f"Expecting tensor size: {first.size} but got: {other.size}")
    if first.shape != other.shape:
        raise invalid(
            f"Expecting shape [{','.join(map(str, first.shape))}] but got: "
            f"[{','.join(map(str, other.shape))}]"
        )


def _check_batches(outputs: Mapping[str, np.ndarray]) -> None:
    sizes = {len(array) if array.ndim else None for array in outputs.values()}
    for name, array in outputs.items():
        if not array.ndim:
            raise invalid(f"Tensor name: {name} has no shape information ")
        if len(sizes) > 1:
            first = len(next(iter(outputs.values())))
            if len(array) != first:
                raise invalid(
                    f"Tensor name: {name} has inconsistent batch size: {len(array)} "
                    f"expecting: {first}"
                )


def _writable(name: str, array: np.ndarray) -> Any:
    """Text is written as text, unless the output's name ends in ``_bytes``."""
    if array.dtype.kind != "O" or name.endswith("_bytes"):
        return plain(array)
    as_text = [value.decode(errors="replace") for value in array.ravel().tolist()]
    return np.array(as_text, dtype=object).reshape(array.shape).tolist()


def _is_object(value: Any) -> bool:
    return isinstance(value, dict) and not is_base64(value)
