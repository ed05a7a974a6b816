"""JSON values in error messages: spelled, spaced and cut as TF Serving does it.

``JsonValueToDebugString`` in ``util/json_tensor.cc`` hands a value to RapidJSON's ``PrettyWriter``
word by word (a name, a bracket, a value) until 256 bytes are there.
"""

from __future__ import annotations

import contextlib
import json
import math
from decimal import Decimal
from typing import Any

_LIMIT = 256
_SEPARATOR = ", "
_INDENT = "    "


class _Full(Exception):
    """Enough was written."""


def excerpt(value: Any) -> str:
    """The beginning of a value: objects over several lines, lists on one."""
    writer = _Writer()
    with contextlib.suppress(_Full):
        writer.write(value, 0)
    return "".join(writer.parts)


def spell(value: Any) -> str:
    """All of a value, in the same form."""
    writer = _Writer(math.inf)
    writer.write(value, 0)
    return "".join(writer.parts)


def type_name(value: Any) -> str:
    """RapidJSON's: True and False are types of their own."""
    if value is None:
        return "Null"
    if isinstance(value, bool):
        return str(value)
    for kind, name in ((dict, "Object"), (list, "Array"), (str, "String")):
        if isinstance(value, kind):
            return name
    return "Number"


class _Writer:
    def __init__(self, limit: float = _LIMIT) -> None:
        self.parts: list[str] = []
        self._limit = limit
        self._size = 0
        self._before = ""

    def write(self, value: Any, depth: int) -> None:
        if isinstance(value, list):
            self._list(value, depth)
        elif isinstance(value, dict):
            self._object(value, depth)
        else:
            self._word(_spell_leaf(value))

    def _list(self, values: list[Any], depth: int) -> None:
        self._word("[")
        for number, each in enumerate(values):
            self._before = _SEPARATOR if number else ""
            self.write(each, depth + 1)
        self._word("]")

    def _object(self, values: dict[str, Any], depth: int) -> None:
        self._word("{")
        for number, (name, each) in enumerate(values.items()):
            self._before = ("," if number else "") + "\n" + _INDENT * (depth + 1)
            self._word(_spell_leaf(name))
            self._before = ": "
            self.write(each, depth + 1)
        self._before = "\n" + _INDENT * depth if values else ""
        self._word("}")

    def _word(self, text: str) -> None:
        """What stands before a word is written with it, or not at all."""
        if self._size >= self._limit:
            raise _Full
        text = self._before + text
        self._before = ""
        self._size += len(text.encode(errors="surrogateescape"))
        self.parts.append(text)


def _spell_leaf(value: Any) -> str:
    if isinstance(value, float):
        if not math.isfinite(value):
            raise _Full  # RapidJSON's writer ends there, for JSON has no word for it
        return _spell_float(value)
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return json.dumps(value)


def _spell_float(value: float) -> str:
    """The shortest digits, with an exponent only below 1e-6 and from 1e21 on (``dtoa.h``)."""
    _, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    point = len(digits) + int(exponent)
    if -6 < point <= 21:
        text = format(Decimal(repr(abs(value))).normalize(), "f")
        text = text if "." in text else text + ".0"
    else:
        whole, rest = str(digits[0]), "".join(map(str, digits[1:]))
        text = f"{whole}.{rest}e{point - 1}" if rest else f"{whole}e{point - 1}"
    return "-" + text if math.copysign(1, value) < 0 else text
