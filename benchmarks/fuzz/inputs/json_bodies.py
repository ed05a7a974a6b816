"""Bodies of ``:predict``, ``:classify`` and ``:regress``: nearly right, or JSON of some other kind."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

from benchmarks.fuzz.inputs.served import OF_EXAMPLES, Row

WORDS = [
    *(b"NaN Infinity -Infinity Inf 1e400 -1e400 1e39 -0 -0.0 01 1. .5 1e 1e+ 0x10 +1".split()),
    *(b"2147483648 9223372036854775808 18446744073709551616 -9223372036854775809".split()),
    *(b"null true false {} [] [[]] [[[]]] { } [ ] , : \" ' // /* \\".split()),
    *(b'"\\ud800" "\\ud83d\\ude00" "\\u0000" "\\x" {"b64":"AA=="} {"b64":"*"} {"b64":1}'.split()),
    *(b'"instances": "inputs": "signature_name": "examples": "context":'.split()),
    b"1" * 400,
    b"[" * 1500,
    b'{"a":' * 300,
    b"\x00",
    b"\xff",
    b"\xef\xbb\xbf",
    b"\xc3\x28",
]

ODD: list[Any] = [
    *(None, True, False, {}, [], [[]], "", "x", "é\u2028\U0001f600", "\x00", -1, 0, 1, 1.5, -0.0),
    *(float("nan"), float("inf"), 1e300, 1e39, 5e-324, 2**31, 2**32, 2**63 - 1, 2**63, 2**64 - 1),
    *(-(2**31) - 1, -(2**63), 255, 256, {"b64": "AAEC"}, {"b64": ""}, {"b64": "=="}, {"b64": None}),
    *({"b64": "AA", "x": 1}, {"a": {"a": {}}}, [1, [2]], [[1], 2], [1, "1"], [None], [True, 1]),
]
_USUAL: dict[str, list[Any]] = {
    "string": ["a", "word", "", "é", {"b64": "aGk="}],
    "bool": [True, False],
}
_NUMBERS: list[Any] = [0, 1, 2, 1.5, -3, 100]

JSON = st.recursive(
    st.sampled_from(ODD),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("abx"), inner, max_size=2)
    ),
    max_leaves=4,
)


def dump(value: Any) -> bytes:
    """As bytes, ``NaN`` and lone surrogates included."""
    return json.dumps(value, ensure_ascii=False).encode(errors="surrogatepass")


@st.composite
def predict_bodies(draw: st.DrawFn, signature: str, inputs: Mapping[str, Row]) -> bytes:
    """For ``:predict`` of a signature: in rows or in columns, mostly nearly right."""
    count = draw(st.integers(1, 4))
    columns = {name: [draw(_values(row)) for _ in range(count)] for name, row in inputs.items()}
    body = draw(st.sampled_from([_in_rows, _in_columns, _plain]))(columns, count)
    if signature != "serving_default" or draw(st.booleans()):
        body["signature_name"] = signature
    if not draw(st.integers(0, 7)):
        body[draw(st.sampled_from(["instances", "inputs", "signature_name", "é"]))] = draw(JSON)
    return dump(body)


@st.composite
def example_bodies(draw: st.DrawFn) -> tuple[str, bytes]:
    """A verb, and a body of ``tf.Example``s for it."""
    name = draw(st.sampled_from(OF_EXAMPLES))
    verb = name.partition("_")[0]
    if verb not in ("classify", "regress"):
        verb = draw(st.sampled_from(["classify", "regress"]))
    features = st.fixed_dictionaries(
        {"x": _mostly(st.sampled_from([1.0, 2.5, [3.0]]))},
        optional={
            "name": _mostly(st.sampled_from(["a", "é", {"b64": "aGk="}])),
            "count": _mostly(st.integers(-3, 3)),
            "more": JSON,
        },
    )
    body: dict[str, Any] = {"signature_name": name}
    body["examples"] = draw(_mostly(st.lists(features, max_size=3)))
    if not draw(st.integers(0, 3)):
        body["context"] = draw(_mostly(features))
    return verb, dump(body)


def _mostly(usual: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.integers(0, 5).flatmap(lambda number: usual if number else JSON)


@st.composite
def _values(draw: st.DrawFn, row: Row) -> Any:
    """One row: filled with one value, often with another one somewhere; or of another shape."""
    kind, shape = row
    usual = st.sampled_from(_USUAL.get(kind, _NUMBERS))
    choice = draw(st.integers(0, 9))
    if choice == 0:
        return draw(JSON)
    if choice == 1:
        shape = draw(st.sampled_from([(), (0,), (1,), (2,), (1, 0), (2, 1), (8, 8), (1,) * 70]))
    value = _fill(shape, draw(usual))
    if choice == 2:
        _put(value, draw(st.sampled_from(ODD)))
    return value


def _fill(shape: tuple[int, ...], value: Any) -> Any:
    return [_fill(shape[1:], value) for _ in range(shape[0])] if shape else value


def _put(value: Any, odd: Any) -> None:
    """In the place of the last element of the innermost list."""
    while isinstance(value, list) and value and isinstance(value[-1], list):
        value = value[-1]
    if isinstance(value, list) and value:
        value[-1] = odd


def _in_rows(columns: Mapping[str, list[Any]], count: int) -> dict[str, Any]:
    names = list(columns)
    return {"instances": [{name: columns[name][row] for name in names} for row in range(count)]}


def _in_columns(columns: Mapping[str, list[Any]], _count: int) -> dict[str, Any]:
    return {"inputs": dict(columns)}


def _plain(columns: Mapping[str, list[Any]], count: int) -> dict[str, Any]:
    """Without the input's name, which is right where there is but one."""
    return {("instances" if count % 2 else "inputs"): next(iter(columns.values()))}
