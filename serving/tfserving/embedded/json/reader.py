"""RapidJSON's reader, place by place, for what a quick parser does not take: see ``text``.

Texts and places of errors: ``rapidjson/error/en.h`` and ``rapidjson/reader.h``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from serving.tfserving.embedded.status import StatusError, invalid

_MARK = b"\xef\xbb\xbf"
_NUMBER = re.compile(rb"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_PLAIN = re.compile(rb'[^"\\\x00-\x1f]*')
_HEX = re.compile(rb"[0-9a-fA-F]{4}")
_SPACE = re.compile(rb"[ \t\n\r]*")
_ESCAPES = {
    ord(short): long.encode() for short, long in zip('"\\/bfnrt', '"\\/\b\f\n\r\t', strict=True)
}
_WORDS = {ord("t"): (b"true", True), ord("f"): (b"false", False), ord("n"): (b"null", None)}
_INT64, _UINT64 = 2**63, 2**64
_MAX_DIGITS = 20

_EMPTY = "The document is empty."
_NO_NAME = "Missing a name for object member."
_NO_COLON = "Missing a colon after a name of object member."
_NO_COMMA_IN_OBJECT = "Missing a comma or } after an object member."
_NO_COMMA_IN_ARRAY = "Missing a comma or ] after an array element."
_NO_VALUE = "Invalid value."
_BAD_HEX = "Incorrect hex digit after \\u escape in string."
_BAD_SURROGATE = "The surrogate pair in string is invalid."
_BAD_ESCAPE = "Invalid escape character in string."
_NO_QUOTE = "Missing a closing quotation mark in string."
_BAD_ENCODING = "Invalid encoding in string."
_TOO_BIG = "Number too big to be stored in double."
_NO_FRACTION = "Miss fraction part in number."
_NO_EXPONENT = "Miss exponent in number."


@dataclass
class Reader:
    """One pass over the bytes; ``at`` is the place of the next one.

    Attributes:
        body: the text.
        at: the next byte.
        open: the lists and objects around it, the innermost last.
        names: the name that waits for its value, for every object in ``open``.
    """

    body: bytes
    at: int = 0
    open: list[Any] = field(default_factory=list)
    names: list[str] = field(default_factory=list)

    def read(self) -> Any:
        self.at = len(_MARK) if self.body.startswith(_MARK) else 0
        if not self._peek():
            raise self._error(_EMPTY, self.at)
        if self._peek() in b"}],:":
            raise self._error(_EMPTY, self.at)
        while True:
            value = self._value()
            if isinstance(value, list | dict) and self._enter(value):
                continue
            while self.open:
                if self._next_after(value):
                    break
                value = self.open.pop()
            else:
                return value

    def _peek(self) -> bytes:
        """The next byte that is not white space; empty at the end, which a zero byte is too."""
        self.at = _space_end(self.body, self.at)
        byte = self.body[self.at : self.at + 1]
        return b"" if byte == b"\x00" else byte

    def _enter(self, value: list[Any] | dict[str, Any]) -> bool:
        """Go into a list or object that was just opened; not where it ends at once."""
        is_list = isinstance(value, list)
        if self._peek() == (b"]" if is_list else b"}"):
            self.at += 1
            return False
        self.open.append(value)
        if not is_list:
            self._read_name()
        return True

    def _next_after(self, value: Any) -> bool:
        """Put a value where it belongs; whether another one follows in the same list or object."""
        around = self.open[-1]
        if isinstance(around, list):
            around.append(value)
            return self._goes_on(b"]", _NO_COMMA_IN_ARRAY)
        around.setdefault(self.names.pop(), value)
        if not self._goes_on(b"}", _NO_COMMA_IN_OBJECT):
            return False
        self._read_name()
        return True

    def _goes_on(self, end: bytes, otherwise: str) -> bool:
        byte = self._peek()
        if byte not in (end, b","):
            raise self._error(otherwise, self.at)
        self.at += 1
        return byte == b","

    def _read_name(self) -> None:
        if self._peek() != b'"':
            raise self._error(_NO_NAME, self.at)
        self.names.append(as_text(self._string()))
        if self._peek() != b":":
            raise self._error(_NO_COLON, self.at)
        self.at += 1

    def _value(self) -> Any:
        byte = self._peek()
        if not byte:
            raise self._error(_NO_VALUE, self.at)
        if byte in b"[{":
            self.at += 1
            return [] if byte == b"[" else {}
        if byte == b'"':
            return self._string()
        return self._word(*_WORDS[byte[0]]) if byte in b"tfn" else self._number()

    def _word(self, word: bytes, value: bool | None) -> bool | None:
        self._expect(word)
        return value

    def _expect(self, word: bytes) -> None:
        for byte in word:
            if self.body[self.at : self.at + 1] != bytes((byte,)):
                raise self._error(_NO_VALUE, self.at)
            self.at += 1

    def _number(self) -> int | float:
        start = self.at
        found = _NUMBER.match(self.body, start)
        if found is None:
            return self._no_number()
        self.at = found.end()
        self._check_number_is_whole(found)
        is_whole = found[1] is None and found[2] is None
        value = (as_number if is_whole else float)(found[0].decode())
        if value in (float("inf"), float("-inf")):
            raise self._error(_TOO_BIG, start)
        return value

    def _check_number_is_whole(self, found: re.Match[bytes]) -> None:
        """Raises where a point or an ``e`` stands behind it, without digits."""
        following = self.body[self.at : self.at + 1]
        if following == b"." and found[1] is None and found[2] is None:
            raise self._error(_NO_FRACTION, self.at + 1)
        if following and following in b"eE" and found[2] is None:
            sign = self.body[self.at + 1 : self.at + 2]
            raise self._error(_NO_EXPONENT, self.at + (2 if sign and sign in b"+-" else 1))

    def _no_number(self) -> float:
        """``NaN``, ``Inf`` or ``Infinity`` with or without a sign."""
        minus = self.body[self.at : self.at + 1] == b"-"
        self.at += minus
        first = self.body[self.at : self.at + 1]
        if first == b"N":
            self._expect(b"NaN")
            return float("nan")
        if first != b"I":
            raise self._error(_NO_VALUE, self.at)
        self._expect(b"Inf")
        if self.body[self.at : self.at + 1] == b"i":
            self._expect(b"inity")
        return float("-inf" if minus else "inf")

    def _string(self) -> str:
        """Bytes that are no UTF-8 stay what they are, as surrogate escapes."""
        self.at += 1
        parts = []
        while True:
            found = _PLAIN.match(self.body, self.at)
            assert found is not None  # it matches nothing, too
            parts.append(found[0])
            self.at = found.end()
            byte = self.body[self.at : self.at + 1]
            if byte == b'"':
                self.at += 1
                return b"".join(parts).decode(errors="surrogateescape")
            if byte != b"\\":
                raise self._error(_BAD_ENCODING if byte.strip(b"\x00") else _NO_QUOTE, self.at)
            parts.append(self._escape())

    def _escape(self) -> bytes:
        start = self.at
        letter = self.body[start + 1 : start + 2]
        self.at += 2
        if letter == b"u":
            return self._unicode(start).encode()
        if not letter or letter[0] not in _ESCAPES:
            raise self._error(_BAD_ESCAPE, start)
        return _ESCAPES[letter[0]]

    def _unicode(self, start: int) -> str:
        first = self._hex(start)
        if not 0xD800 <= first <= 0xDFFF:
            return chr(first)
        if first > 0xDBFF or self.body[self.at : self.at + 2] != b"\\u":
            raise self._error(_BAD_SURROGATE, start)
        self.at += 2
        second = self._hex(start)
        if not 0xDC00 <= second <= 0xDFFF:
            raise self._error(_BAD_SURROGATE, start)
        return chr(0x10000 + ((first - 0xD800) << 10 | second - 0xDC00))

    def _hex(self, start: int) -> int:
        found = _HEX.match(self.body, self.at)
        if found is None:
            raise self._error(_BAD_HEX, start)
        self.at = found.end()
        return int(found[0], 16)

    def _error(self, what: str, at: int) -> StatusError:
        return invalid(f"JSON Parse error: {what} at offset: {at}")


def _space_end(body: bytes, at: int) -> int:
    found = _SPACE.match(body, at)
    assert found is not None  # it matches nothing, too
    return found.end()


def as_number(digits: str) -> int | float:
    """The whole number where one of 64 bits holds it, else the nearest double."""
    if len(digits) <= _MAX_DIGITS:
        value = int(digits)
        if -_INT64 <= value < _UINT64:
            return value
    return float(digits)


def as_text(text: str) -> str:
    """Names are text also where values may be any bytes."""
    return text.encode(errors="surrogateescape").decode(errors="replace")
