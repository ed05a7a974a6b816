"""The exact JSON reader: RapidJSON's words and places, and the same values as a fast parser's."""

from __future__ import annotations

import json
import math
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.tfserving.embedded.json.excerpt import excerpt
from serving.tfserving.embedded.json.reader import Reader
from serving.tfserving.embedded.json.text import parse_json
from serving.tfserving.embedded.status import StatusError

LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


@settings(max_examples=300, deadline=None)
@given(VALUES, st.booleans(), st.sampled_from([None, 1]))
def test_it_reads_what_a_fast_parser_reads(value: Any, escapes: bool, indent: int | None) -> None:
    text = json.dumps(value, ensure_ascii=escapes, indent=indent).encode(errors="surrogatepass")
    assert Reader(text).read() == orjson.loads(text)


@settings(max_examples=300, deadline=None)
@given(VALUES, st.data())
def test_a_changed_text_is_read_or_refused_with_its_place(value: Any, data: st.DataObject) -> None:
    text = bytearray(json.dumps(value).encode())
    place = data.draw(st.integers(0, len(text) - 1))
    text[place : place + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))
    try:
        expected = orjson.loads(bytes(text))
    except orjson.JSONDecodeError:
        try:
            parse_json(bytes(text))
        except StatusError as error:
            assert error.message.startswith("JSON Parse error: The document is empty") or (
                0 <= int(error.message.rpartition(" ")[2]) <= len(text)
            )
    else:
        assert Reader(bytes(text)).read() == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "The document is empty"),
        (b"  ", "The document is empty. at offset: 2"),
        (b"\x00", "The document is empty. at offset: 0"),
        (b"]", "The document is empty. at offset: 0"),
        (b"x", "Invalid value. at offset: 0"),
        (b"tru", "Invalid value. at offset: 3"),
        (b"-", "Invalid value. at offset: 1"),
        (b"[1,]", "Invalid value. at offset: 3"),
        (b"[Infx]", "Missing a comma or ] after an array element. at offset: 4"),
        (b"[1 2]", "Missing a comma or ] after an array element. at offset: 3"),
        (b'{"a":1', "Missing a comma or } after an object member. at offset: 6"),
        (b'{"a":1]', "Missing a comma or } after an object member. at offset: 6"),
        (b'{"a":1,}', "Missing a name for object member. at offset: 7"),
        (b"{1:2}", "Missing a name for object member. at offset: 1"),
        (b'{"a" 1}', "Missing a colon after a name of object member. at offset: 5"),
        (b'{"a":', "Invalid value. at offset: 5"),
        (b"[1.]", "Miss fraction part in number. at offset: 3"),
        (b"[1e]", "Miss exponent in number. at offset: 3"),
        (b"[1e+]", "Miss exponent in number. at offset: 4"),
        (b"[1, 1e999]", "Number too big to be stored in double. at offset: 4"),
        (b'"\\ud800"', "The surrogate pair in string is invalid. at offset: 1"),
        (b'"\\ud800\\u0041"', "The surrogate pair in string is invalid. at offset: 1"),
        (b'"a\\u00g0"', "Incorrect hex digit after \\u escape in string. at offset: 2"),
        (b'"a\\x"', "Invalid escape character in string. at offset: 2"),
        (b'"a\nb"', "Invalid encoding in string. at offset: 2"),
        (b'"abc', "Missing a closing quotation mark in string. at offset: 4"),
    ],
)
def test_mistakes(text: bytes, words: str) -> None:
    with pytest.raises(StatusError) as refused:
        parse_json(text)
    assert refused.value.message == f"JSON Parse error: {words}"


def test_what_only_tf_serving_takes() -> None:
    found = parse_json(b"[-Inf, Inf, Infinity, -Infinity, NaN]")
    assert found[:4] == [-math.inf, math.inf, math.inf, -math.inf]
    assert math.isnan(found[4])
    assert parse_json(b'\xef\xbb\xbf{"a": 1} and what follows') == {"a": 1}
    assert parse_json(b'"\xff"') == "\udcff"
    assert parse_json(b'["\xed\xa0\x80", 1, NaN]')[0] == "\udced\udca0\udc80"
    for text in (b"[-9223372036854775809, 1]", b"[-9223372036854775809, NaN]"):
        assert parse_json(text)[0] == -(2.0**63)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"a": 1, "b": 0, "a": 2}', {"a": 1, "b": 0}),
        ('{"a": 1, "a" : 2}', {"a": 1}),
        ('{"a": "1:2", "a": 2}', {"a": "1:2"}),
        ('{"a": [{"x": 1, "x": 2}, {"x": 3}]}', {"a": [{"x": 1}, {"x": 3}]}),
        ('{"a": [{"x": {"b64": "1", "b64": "2"}}]}', {"a": [{"x": {"b64": "1"}}]}),
        ('{"a": [[{"b64": ": ", "b64": ""}]], "b": " :"}', {"a": [[{"b64": ": "}]], "b": " :"}),
        ('{"a": {"x": [1], "x": [2]}, "a": 3}', {"a": {"x": [1]}}),
        ('{"a": NaN, "a": 1}', {"a": math.nan}),
        ('{"a": 1, "a": 2} and what follows', {"a": 1}),
        ('[{"a": 1, "a": 2}]', [{"a": 1}]),
    ],
)
def test_of_two_members_of_one_name_the_first_counts(text: str, found: Any) -> None:
    read = parse_json(text.encode())
    assert repr(read) == repr(found)
    assert list(read) == list(found)


@settings(max_examples=500, deadline=None)
@given(VALUES, st.sampled_from([None, 1]), st.sampled_from([(",", ":"), (" , ", " : ")]))
def test_what_has_each_name_once_is_what_a_fast_parser_reads(
    value: Any, indent: int | None, separators: tuple[str, str]
) -> None:
    """Whatever it holds of colons, quotation marks and lists in objects in lists."""
    text = json.dumps(value, indent=indent, separators=separators)
    assert parse_json(text.encode()) == orjson.loads(text)


def test_a_name_twice_below_a_thousand_lists() -> None:
    """Deeper than Python's own parser goes, though not than the fast one."""
    text = b"[" * 1000 + b'{"a": 1, "a": 2}' + b"]" * 1000
    value = parse_json(text)
    while isinstance(value, list):
        value = value[0]
    assert value == {"a": 1}


@pytest.mark.parametrize(
    "number", ["1e999", "-1E+400", "1e0309", "9" * 310, "-" + "9" * 310, "9" * 310 + ".5e-1"]
)
@pytest.mark.parametrize("word", ["1", "NaN", "-Infinity"])
def test_a_number_beyond_a_double_is_none_whatever_else_is_there(number: str, word: str) -> None:
    with pytest.raises(StatusError) as refused:
        parse_json(f'{{"x": [{word}, {number}]}}'.encode())
    at = len(f'{{"x": [{word}, ')
    assert refused.value.message == (
        f"JSON Parse error: Number too big to be stored in double. at offset: {at}"
    )


@pytest.mark.parametrize("number", ["1e300", "1e+099", "1e-999", "2" * 250, "-" + "2" * 250, "0.5"])
def test_a_large_number_beside_nan_is_read(number: str) -> None:
    found = parse_json(f'{{"e000": [NaN, {number}]}}'.encode())["e000"]
    assert math.isnan(found[0])
    assert found[1] == float(number)


def test_no_depth_is_too_much() -> None:
    value = parse_json(b"[" * 50_000 + b"]" * 50_000)
    depth = 0
    while value:
        value, depth = value[0], depth + 1
    assert depth == 49_999


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"instances": 3}, '{\n    "instances": 3\n}'),
        ({"a": [1, {"b": 2, "c": []}]},
         '{\n    "a": [1, {\n            "b": 2,\n            "c": []\n        }]\n}'),
        ([], "[]"),
        ({}, "{}"),
        ([1.0, 1e21, 1.5e-7, 1e20, -0.0, True, None, 'ä"'],
         '[1.0, 1e21, 1.5e-7, 100000000000000000000.0, -0.0, true, null, "ä\\""]'),
        ([1.0, math.nan, 2.0], "[1.0"),
    ],
)  # fmt: skip
def test_excerpts(value: Any, words: str) -> None:
    assert excerpt(value) == words


def test_excerpts_end_with_the_word_that_fills_them() -> None:
    assert excerpt(list(range(10, 99))) == "[" + ", ".join(map(str, range(10, 75)))
    assert excerpt(["x" * 1000, "y"]) == '["' + "x" * 1000 + '"'
