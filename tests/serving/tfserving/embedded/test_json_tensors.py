"""The quick reader of whole tensors against the exact one, which goes value by value."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.tfserving.element_types import ELEMENT_TYPES, ElementType
from serving.tfserving.embedded.graph.signature import Port, Signature
from serving.tfserving.embedded.json.elements import read_by_element
from serving.tfserving.embedded.json.flat import glance, read_flat
from serving.tfserving.embedded.json.tensors import parse_body, read_inputs
from serving.tfserving.embedded.status import StatusError

NAMES = ["float", "double", "int32", "int64", "uint8", "uint32", "uint64", "string", "bool", "half"]
KINDS = [kind for kind in ELEMENT_TYPES if kind.name in NAMES]
ROUNDED_TWICE = 2**55 + 2**31 + 1
"""As a double and then as a float it is another number than as a float at once."""
NUMBERS = (0, 1, -1, 300, 2**31, 2**63, -(2**63), 2**64 - 1, ROUNDED_TWICE, 0.5, 1e39, -0.0)
OTHERS = (True, False, None, "", "ab", "ü", {"b64": "YQ=="}, {"b64": "?"}, {"a": 1})
LEAVES = st.sampled_from([*NUMBERS, *OTHERS])


def nested(leaves: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Mostly even lists, sometimes ragged ones."""
    even = st.tuples(leaves, st.lists(st.integers(0, 3), max_size=3)).map(
        lambda drawn: np.full(drawn[1], drawn[0], object).tolist()
    )
    return even | st.recursive(leaves, lambda inner: st.lists(inner, max_size=3), max_leaves=8)


@settings(max_examples=1500, deadline=None)
@given(
    st.sampled_from(KINDS), nested(LEAVES) | st.lists(LEAVES.map(lambda leaf: [leaf]), min_size=1)
)
def test_both_read_the_same(kind: ElementType, value: Any) -> None:
    port = Port("x", kind, None, "x:0")
    signature = Signature("s", {"x": port}, {})
    body = parse_body(orjson.dumps({"inputs": {"x": value}}))
    try:
        expected = read_by_element(value, port)
    except StatusError as error:
        with pytest.raises(StatusError) as refused:
            read_inputs(body, signature)
        assert str(refused.value) == str(error)
    else:
        found = read_inputs(body, signature)[1]["x"]
        assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
        assert found.tobytes() == expected.tobytes() or found.tolist() == expected.tolist()


@settings(max_examples=500, deadline=None)
@given(st.sampled_from(KINDS), st.lists(nested(LEAVES), min_size=1, max_size=4))
def test_named_and_bare_rows_are_the_same(kind: ElementType, rows: list[Any]) -> None:
    signature = Signature("s", {"x": Port("x", kind, None, "x:0")}, {})
    answers: list[Any] = []
    for sent in (rows, [{"x": row} for row in rows]):
        try:
            found = read_inputs(parse_body(orjson.dumps({"instances": sent})), signature)[1]["x"]
            answers.append((found.shape, found.tolist()))
        except StatusError as error:
            answers.append(str(error).replace(" key: x of", " of"))
    plain_object = any(isinstance(row, dict) and "a" in row for row in rows)
    assert answers[0] == answers[1] or plain_object


@pytest.mark.parametrize("neighbours", [[], [1], [0.5], [2**63], [-1] * 300, [0.5] * 300])
def test_a_whole_number_is_rounded_alike_whatever_stands_beside_it(neighbours: list[Any]) -> None:
    """As RapidJSON's ``GetFloat``: a double first."""
    kind = next(each for each in KINDS if each.name == "float")
    signature = Signature("s", {"x": Port("x", kind, (-1,), "x:0")}, {})
    body = orjson.dumps({"inputs": [ROUNDED_TWICE, *neighbours]})
    seen = glance(body)
    flat = seen and read_flat(seen, signature.inputs["x"])
    for found in (flat, read_inputs(parse_body(body), signature)[1]["x"]):
        assert found is not None
        assert found[0] == np.float64(ROUNDED_TWICE).astype(np.float32)
        assert found[0] != np.int64(ROUNDED_TWICE).astype(np.float32)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([{"b64": "YQ=="}, {"b64": "Yg=="}], [b"a", b"b"]),
        ([{"b64": ["YQ=="]}, {"b64": ["Yg=="]}], [[b"YQ=="], [b"Yg=="]]),
        ([{"b64": {"b64": "YQ=="}}], [b"a"]),
        ([{"b64": "?"}], "Unable to base64 decode"),
        ([{"b64": ["YQ=="]}, {"b64": "Yg=="}], "Expecting object but got list at item 1"),
    ],
)
def test_of_an_input_named_b64_a_text_is_bytes(rows: list[Any], expected: Any) -> None:
    """``IsValBase64Object`` does not know the names of inputs."""
    kind = next(each for each in KINDS if each.name == "string")
    signature = Signature("s", {"b64": Port("b64", kind, None, "b64:0")}, {})
    body = parse_body(orjson.dumps({"instances": rows}))
    if isinstance(expected, list):
        assert read_inputs(body, signature)[1]["b64"].tolist() == expected
    else:
        with pytest.raises(StatusError, match=re.escape(expected)):
            read_inputs(body, signature)
