"""Spaces and line breaks where TF Serving's answers have them.

``util/json_tensor.cc`` hands values to RapidJSON's ``PrettyWriter``, which indents by four. In row
form lists stand on one line, and the bracket at their end on the next; in columns every number has a
line of its own.

Numbers come as one compact text, of which only the places between them are changed: 32 rows of two
outputs take 40 µs so, and 50 µs without any layout but through one object for each row.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod

_STEP = b"    "
_SHORT = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_ESCAPES = {number: f"\\u{number:04X}" for number in range(0x20)} | {
    ord(letter): short for letter, short in _SHORT.items()
}
_MOST_MARKS = 8
"""Dimensions for which there is a byte that marks the place between two lists."""


@dataclass(slots=True)
class Written:
    """A tensor's elements as JSON.

    Attributes:
        shape: of the tensor.
        compact: the whole of it, lists of numbers without a space; None where it has other elements.
        leaves: one text for each element, where ``compact`` is None.
        key: where each element is an object with one member, that member's name as JSON.
    """

    shape: tuple[int, ...]
    compact: bytes | None = None
    leaves: Sequence[bytes] = ()
    key: bytes = b""

    def rows(self, depth: int) -> list[bytes]:
        """One text on one line for each row; ``depth`` is the number of brackets around a row."""
        inner = len(self.shape) - 1
        if self.compact is None or not prod(self.shape):
            return self._nest(1, depth - 1, is_line=True)
        text = self.compact.replace(b",", b", ")
        between = b"]" * inner + b", " + b"[" * inner
        found = text[1 + inner : len(text) - 1 - inner].split(between)
        return [b"[" * inner + row + b"]" * inner for row in found] if inner else found

    def whole(self, depth: int) -> bytes:
        """All of it, an element in each line; ``depth`` is the number of brackets around it."""
        if self.compact is not None and not self.shape:
            return self.compact
        if self.compact is None or not prod(self.shape) or len(self.shape) > _MOST_MARKS:
            return self._nest(0, depth, is_line=False)[0]
        return self._spread(self.compact, depth)

    def _spread(self, text: bytes, depth: int) -> bytes:
        """The compact text over several lines: places between lists first, those of many brackets first."""
        rank = len(self.shape)
        text = text[rank:-rank]
        for count in range(rank - 1, 0, -1):
            text = text.replace(b"]" * count + b"," + b"[" * count, bytes((count,)))
        text = text.replace(b",", b"," + _line(depth + rank))
        for count in range(1, rank):
            levels = range(depth + rank - count, depth + rank)
            closing = b"".join(_line(level) + b"]" for level in reversed(levels))
            opening = b"".join(_line(level) + b"[" for level in levels)
            text = text.replace(bytes((count,)), closing + b"," + opening + _line(depth + rank))
        levels = range(depth, depth + rank)
        opening = b"".join(b"[" + _line(level + 1) for level in levels)
        return opening + text + b"".join(_line(level) + b"]" for level in reversed(levels))

    def _nest(self, outer: int, depth: int, is_line: bool) -> list[bytes]:
        """Elements as lists, lists as lists of lists, up to the dimension ``outer``."""
        texts = self._elements(depth + len(self.shape))
        for level in range(len(self.shape) - 1, outer - 1, -1):
            size, count = self.shape[level], prod(self.shape[:level])
            parts = (texts[place * size : (place + 1) * size] for place in range(count))
            texts = [b"[" + _join(part, depth + level, is_line) + b"]" for part in parts]
        return texts

    def _elements(self, depth: int) -> list[bytes]:
        if self.compact is not None:
            return [each for each in re.split(rb"[\[\],]+", self.compact) if each]
        if not self.key:
            return list(self.leaves)
        before = b"{" + _line(depth + 1) + self.key + b": "
        return [before + leaf + _line(depth) + b"}" for leaf in self.leaves]


def lay_out_rows(key: bytes, columns: Sequence[tuple[bytes, Written]]) -> bytes:
    """An object with one member, a list: of bare rows, or of objects where there are more columns.

    Args:
        key: the member's name as JSON.
        columns: names as JSON, and tensors with equally many rows.
    """
    if len(columns) == 1:
        rows = columns[0][1].rows(2)
        return lay_out_list(key, b", ".join(rows))
    texts = [tensor.rows(3) for _, tensor in columns]
    template = _row_template(tuple(name for name, _ in columns))
    return lay_out_list(key, b",".join([template % row for row in zip(*texts, strict=True)]))


@lru_cache(maxsize=256)
def _row_template(names: tuple[bytes, ...]) -> bytes:
    """An object with these names, and ``%b`` for each value."""
    members = [_line(3) + name.replace(b"%", b"%%") + b": %b" for name in names]
    return _line(2) + b"{" + b",".join(members) + _line(2) + b"}"


def lay_out_columns(key: bytes, columns: Sequence[tuple[bytes, Written]]) -> bytes:
    """An object with one member: a tensor, or an object of tensors where there are more."""
    if len(columns) == 1:
        return lay_out_object(key, columns[0][1].whole(1))
    members = (name + b": " + tensor.whole(2) for name, tensor in columns)
    return lay_out_object(key, b"{" + _join(list(members), 1, is_line=False) + b"}")


def lay_out_list(key: bytes, items: bytes) -> bytes:
    """An object with one member, a list whose end has a line of its own unless it is empty."""
    return lay_out_object(key, b"[" + items + (_line(1) if items else b"") + b"]")


def lay_out_object(key: bytes, value: bytes) -> bytes:
    """An object with one member."""
    return b"{" + _line(1) + key + b": " + value + b"\n}"


@lru_cache(maxsize=256)
def quote_name(name: str) -> bytes:
    """As ``quote``, for names that come again with every answer."""
    return quote(name)


def quote(text: str) -> bytes:
    """A text as JSON; what is no UTF-8 is replaced, where RapidJSON would pass it on."""
    text = text.encode(errors="surrogateescape").decode(errors="replace")
    return b'"' + text.translate(_ESCAPES).encode() + b'"'


def _join(texts: Sequence[bytes], depth: int, is_line: bool) -> bytes:
    """What stands within a bracket that has ``depth`` others around it."""
    if not texts:
        return b""
    if is_line:
        return b", ".join(texts)
    line = _line(depth + 1)
    return line + (b"," + line).join(texts) + _line(depth)


def _line(depth: int) -> bytes:
    return b"\n" + _STEP * depth
