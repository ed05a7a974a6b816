"""Status and metadata as JSON: ``ToJsonString`` in TF Serving's ``http_rest_api_util.cc``.

Laid out as protobuf's printer for C++ does it (``json/internal/unparser.cc`` and ``writer.cc``): fields
by number, one space for each level.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from serving.tfserving.embedded.graph.saved_model import Servable
from serving.tfserving.embedded.requests.metadata import (
    SIGNATURE_DEF,
    model_metadata,
    signature_map,
)

_SHORT = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_PRECISIONS: dict[int, tuple[Callable[[Any], Any], int, int]] = {
    FieldDescriptor.TYPE_FLOAT: (np.float32, 6, 9),
    FieldDescriptor.TYPE_DOUBLE: (np.float64, 15, 17),
}
"""Of the numbers in default values."""
_UNSAFE = re.compile(
    '[\x00-\x1f"\\\\<>\x7f-\x9f\xad\u0600-\u0603\u06dd\u070f\u17b4\u17b5\u200b-\u200f\u2028-\u202e'
    "\u2060-\u2064\u206a-\u206f\ufeff\ufff9-\ufffb\U0001d173-\U0001d17a\U000e0001"
    "\U000e0020-\U000e007f]"
)
"""What is escaped: more than JSON wants, so that the text may stand in a script."""


def write_status(response: Message) -> bytes:
    """A GetModelStatusResponse."""
    return _print(response).encode()


def write_metadata(servable: Servable) -> bytes:
    """What a GetModelMetadataResponse holds, the signatures unpacked."""
    # Two printed messages with words between them; each ends with a line break.
    spec = _print(model_metadata(servable).model_spec)
    signatures = _print(signature_map(servable))
    text = f'{{\n"model_spec":{spec},\n"metadata": {{"{SIGNATURE_DEF}": {signatures}}}\n}}\n'
    return text.encode()


def _print(message: Message) -> str:
    document = MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return _spell(_in_order(document, message.DESCRIPTOR), 0) + "\n"


def _in_order(document: dict[str, Any], kind: Any) -> dict[str, Any]:
    """The members by the numbers of their fields; what a map holds by its names."""
    fields = sorted(kind.fields, key=lambda field: field.number)
    return {
        field.name: _in_field(document[field.name], field)
        for field in fields
        if field.name in document
    }


def _in_field(value: Any, field: Any) -> Any:
    kind = field.message_type
    if field.type in _PRECISIONS:
        several = value if isinstance(value, list) else [value]
        spelt = [_digits(each, *_PRECISIONS[field.type]) for each in several]
        return spelt if isinstance(value, list) else spelt[0]
    if kind is None or isinstance(value, str):  # a wrapped number of 64 bits is a text
        return value
    if kind.GetOptions().map_entry:
        inner = kind.fields_by_name["value"]
        return {name: _in_field(value[name], inner) for name in sorted(value)}
    if isinstance(value, list):
        return [_in_order(each, kind) for each in value]
    return _in_order(value, kind)


def _digits(value: float | str, kind: Callable[[Any], Any], few: int, enough: int) -> str:
    """As ``SimpleFtoa`` and ``SimpleDtoa`` in ``io/strtod.cc``: few digits where those do."""
    if isinstance(value, str):  # NaN and the infinities
        return value
    exact = float(kind(value))
    text = f"{exact:.{few}g}"
    return _Number(text if kind(text) == exact else f"{exact:.{enough}g}")


class _Number(str):
    """Digits, which are not quoted."""


def _spell(value: Any, depth: int) -> str:
    if isinstance(value, dict):
        members = [f"{_quote(name)}: {_spell(each, depth + 1)}" for name, each in value.items()]
        return "{" + _lines(members, depth) + "}"
    if isinstance(value, list):
        return "[" + _lines([_spell(each, depth + 1) for each in value], depth) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    is_text = isinstance(value, str) and not isinstance(value, _Number)
    return _quote(value) if is_text else str(value)


def _lines(texts: list[str], depth: int) -> str:
    line = "\n" + " " * (depth + 1)
    return line + ("," + line).join(texts) + line[:-1] if texts else ""


def _quote(text: str) -> str:
    return f'"{_UNSAFE.sub(_escape, text)}"'


def _escape(found: re.Match[str]) -> str:
    letter = found[0]
    if letter in _SHORT:
        return _SHORT[letter]
    units = letter.encode("utf-16-be")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
