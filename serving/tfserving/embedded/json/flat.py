"""``:predict`` bodies of nothing but numbers for one input: read without making their lists.

Most of what reading an image costs is making lists of lists of numbers and taking them apart again.
Where a signature's one input says how long each list is, the text says itself whether it has that
form: without its numbers it must be the same brackets and commas for each row. Then the brackets are
blanked out and the JSON library reads one list of numbers.

This is a quick way and no other rule: what it takes, ``tensors`` reads alike, and what is unusual in
any way is left to that, with its words for mistakes.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import orjson

from serving.tfserving.embedded.graph.signature import Port
from serving.tfserving.embedded.json.tensors import Form

_NAME = rb'"signature_name"[ \t\r\n]*:[ \t\r\n]*"([\w./:-]*)"[ \t\r\n]*'
_HEAD = re.compile(
    rb"[ \t\r\n]*\{[ \t\r\n]*(?:" + _NAME + rb',[ \t\r\n]*)?"(instances|inputs)"[ \t\r\n]*:'
)
_TAIL = re.compile(rb"([\]}])[ \t\r\n]*(?:,[ \t\r\n]*" + _NAME + rb")?\}[ \t\r\n]*\Z")
_USUAL_TAILS = (b"]}", b"}}")
"""Without a name or a space, which takes the pattern a while to say."""
_MOST_TAIL = 256

_OF_NUMBERS = b"0123456789.+-eE \t\r\n"
_SPACE = b" \t\r\n"
_BLANKED = bytes.maketrans(b"[]{}:", b"     ")
_MARKS = bytes((byte in b"[,:") + 2 * (byte in b"],}") for byte in range(256))
"""1 for what a number stands behind, 2 for what it stands before. Where one follows the other a number is
missing; one that stands elsewhere instead has no comma beside it."""

_NAMELESS = re.compile(rb"\{[ \t\r\n]*:")
"""An object whose name stands elsewhere."""

_FEW_BYTES = 1024
"""Two searches of a shorter text take half as long as numpy does; of a long one, four times as long."""
_NUMBERS_AND_BRACKETS = bytes.maketrans(b"123456789.+-eE{:}", b"00000000000000[[]")

_FORMS = {form.value.encode("ascii"): form for form in Form}
_DTYPES = {"float": np.float32, "double": np.float64}


@dataclass(frozen=True, slots=True)
class Glance:
    """What the beginning and the end of a body say.

    Attributes:
        form: of the request.
        signature_name: empty where it names none.
        values: the text in between, not looked at yet.
    """

    form: Form
    signature_name: str
    values: bytes


def glance(body: bytes) -> Glance | None:
    """Look at both ends of a body; None where they are not those of a plain request."""
    head = _HEAD.match(body)
    if head is None:
        return None
    name, end = head[1], len(body) - 1
    if body[-2:] not in _USUAL_TAILS:
        tail = _TAIL.search(body, max(len(body) - _MOST_TAIL, 0))
        if tail is None or (name is not None and tail[2] is not None):
            return None
        name, end = name or tail[2], tail.end(1)
    return Glance(_FORMS[head[2]], (name or b"").decode("ascii"), body[head.end() : end])


def read_flat(found: Glance, port: Port) -> np.ndarray | None:
    """The numbers of a signature's only input.

    Args:
        found: of the body.
        port: the input.

    Returns:
        float32 or float64 (N, ...) as the input declares it; None where the text has another form, or the
        input one that is not known before.
    """
    dtype = _DTYPES.get(port.kind.name) if port.kind else None
    if dtype is None or not port.shape or min(port.shape[1:], default=1) < 1:
        return None
    text, key = found.values, b'"' + port.name.encode() + b'"'
    in_rows = found.form is Form.ROW
    if text.find(key, 0, len(key) + 8) >= 0:
        objects = text.count(b"{")
        length, text = len(text), text.replace(key, b" ")
        keys = (length - len(text)) // (len(key) - 1)
        if keys != objects or (not in_rows and objects != 1) or _NAMELESS.search(found.values):
            return None
        row = _skeleton(port.shape[1:], in_rows)
        around = (b"[", b"]") if in_rows else (b"{:[", b"]}")
    else:
        row = _skeleton(port.shape[1:], False)
        around = (b"[", b"]")
    bare = text.translate(None, _OF_NUMBERS)
    count = (len(bare) - len(around[0]) - len(around[1]) + 1) // (len(row) + 1)
    if count < 1 or bare != b",".join([row] * count).join(around) or _has_gaps(text):
        return None
    try:
        numbers = orjson.loads(b"[" + text.translate(_BLANKED) + b"]")
        if not numbers:  # one is missing, and no comma says so
            return None
        doubles = _as_doubles(numbers)
    except (orjson.JSONDecodeError, OverflowError, struct.error):
        return None
    with np.errstate(over="ignore"):  # a double beyond float's range becomes infinity
        return doubles.astype(dtype).reshape(count, *port.shape[1:])


def _as_doubles(numbers: list[float]) -> np.ndarray:
    """As ``np.array``, which looks at each number's type twice and takes four times as long."""
    return np.frombuffer(_packer(len(numbers)).pack(*numbers))


@lru_cache(maxsize=256)
def _packer(count: int) -> struct.Struct:
    return struct.Struct(f"{count}d")


def _has_gaps(text: bytes) -> bool:
    if len(text) < _FEW_BYTES:
        letters = text.translate(_NUMBERS_AND_BRACKETS, _SPACE)
        return b"0[" in letters or b"]0" in letters
    marks = np.frombuffer(text.translate(_MARKS, _SPACE), np.uint8)
    return bool((marks[:-1] & marks[1:] >> 1).any())


@lru_cache(maxsize=256)
def _skeleton(shape: tuple[int, ...], is_object: bool) -> bytes:
    """A row without its numbers."""
    row = b""
    for size in reversed(shape):
        row = b"[" + b",".join([row] * size) + b"]"
    return b"{:" + row + b"}" if is_object else row
