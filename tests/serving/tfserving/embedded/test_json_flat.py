"""The quick way for plain numbers: what it takes, the exact reader reads alike; all else it leaves."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from serving.tfserving.element_types import ELEMENT_TYPES, ElementType
from serving.tfserving.embedded.graph.signature import Port, Signature
from serving.tfserving.embedded.json.flat import glance, read_flat
from serving.tfserving.embedded.json.tensors import Form, parse_body, read_inputs

KINDS = {kind.name: kind for kind in ELEMENT_TYPES}
SHAPES = [(), (1,), (3,), (2, 2), (1, 1), (2, 1, 3)]
NAMES = ["x", "image", "e1", "0.5", "ünlich"]
NUMBERS = (0, -1, 7, 2**53 + 1, 2**63, 0.5, -0.0, 1e-3, 1e39, 3.0)
ROUNDED_TWICE = 2**55 + 2**31 + 1
"""A double in between makes another float32 of it."""
MANY = 300
"""Rows of two numbers that are read in another way than a few."""


def quick(body: bytes, port: Port) -> tuple[Form, str, np.ndarray] | None:
    found = glance(body)
    array = None if found is None else read_flat(found, port)
    return None if found is None or array is None else (found.form, found.signature_name, array)


def exact(body: bytes, port: Port) -> tuple[Form, str, np.ndarray]:
    parsed = parse_body(body)
    form, inputs = read_inputs(parsed, Signature("s", {port.name: port}, {}))
    return form, parsed.signature_name, inputs[port.name]


def of_another_shape(port: Port, shape: tuple[int, ...]) -> Port:
    return Port(port.name, port.kind, (-1, *shape), port.node)


def assert_same(body: bytes, port: Port) -> None:
    """Where the quick way takes a body, it reads what the exact one reads."""
    found = quick(body, port)
    if found is None:
        return
    form, name, array = exact(body, port)
    assert (found[0], found[1]) == (form, name), body
    assert (found[2].dtype, found[2].shape) == (array.dtype, array.shape), body
    assert found[2].tobytes() == array.tobytes(), body


def document(draw: Any, port: Port) -> dict[str, Any]:
    """A good request of one of the four forms, with or without a signature's name."""
    assert port.shape is not None
    rows, shape = draw(st.integers(1, 3)), port.shape[1:]
    size = rows * int(np.prod(shape, dtype=int))
    numbers = draw(st.lists(st.sampled_from(NUMBERS), min_size=size, max_size=size))
    values = np.array(numbers, object).reshape(rows, *shape).tolist()
    whole: dict[str, Any] = draw(
        st.sampled_from(
            [
                {"instances": values},
                {"instances": [{port.name: value} for value in values]},
                {"inputs": values},
                {"inputs": {port.name: values}},
            ]
        )
    )
    first, last = draw(st.sampled_from([({}, {}), ({"signature_name": "s.1"}, {}), ({}, {"a": 1})]))
    last = {"signature_name": "s"} if last else {}
    return {**first, **whole, **last}


@st.composite
def requests(draw: Any) -> tuple[bytes, Port]:
    kind = KINDS[draw(st.sampled_from(["float", "double"]))]
    port = Port(draw(st.sampled_from(NAMES)), kind, (-1, *draw(st.sampled_from(SHAPES))), "x:0")
    option = draw(st.sampled_from([0, orjson.OPT_INDENT_2]))
    body = orjson.dumps(document(draw, port), option=option)
    return body.replace(b",", draw(st.sampled_from([b",", b", ", b" ,\n"]))), port


@settings(max_examples=1500, deadline=None)
@given(requests())
def test_both_read_the_same(request: tuple[bytes, Port]) -> None:
    body, port = request
    assert_same(body, port)


@settings(max_examples=1000, deadline=None)
@given(requests(), st.sampled_from(SHAPES))
def test_a_good_text_for_another_input_is_not_taken(
    request: tuple[bytes, Port], shape: tuple[int, ...]
) -> None:
    body, port = request
    assert_same(body, of_another_shape(port, shape))


PIECES = [
    b"[",
    b"]",
    b"{",
    b"}",
    b",",
    b":",
    b" ",
    b"1",
    b"-",
    b".",
    b"e",
    b'"',
    b"x",
    b"\n",
    b"[]",
]


@settings(max_examples=4000, deadline=None)
@given(requests(), st.data())
def test_a_damaged_text_is_never_taken_for_a_good_one(
    request: tuple[bytes, Port], data: st.DataObject
) -> None:
    body, port = request
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(body)))
        length = data.draw(st.integers(0, 2))
        body = body[:at] + data.draw(st.sampled_from([*PIECES, b""])) + body[at + length :]
    assert_same(body, port)


@settings(max_examples=2000, deadline=None)
@given(requests(), st.data())
def test_a_text_with_two_pieces_exchanged_is_never_taken_for_a_good_one(
    request: tuple[bytes, Port], data: st.DataObject
) -> None:
    body, port = request
    places = sorted(data.draw(st.lists(st.integers(0, len(body)), min_size=3, max_size=3)))
    assume(len(set(places)) == 3)
    first, middle, last = places
    assert_same(body[:first] + body[middle:last] + body[first:middle] + body[last:], port)


def port_of(kind: ElementType | None, *shape: int) -> Port:
    return Port("x", kind, shape, "x:0")


PAIRS = port_of(KINDS["float"], -1, 2)


@pytest.mark.parametrize(
    "body",
    [
        b'{"instances":[[1,2],[3,4]]}',
        b'{"instances": [{"x": [1, 2]}, {"x": [3, 4]}]}',
        b'{"signature_name": "s", "inputs": [[1, 2], [3, 4]]}',
        b' {"inputs":{"x":[[1,2.0],[3e0,4]]},"signature_name":"s"}\n',
    ],
)
def test_the_usual_forms_are_taken(body: bytes) -> None:
    found = quick(body, PAIRS)
    assert found is not None
    np.testing.assert_array_equal(found[2], np.array([[1, 2], [3, 4]], np.float32))


@pytest.mark.parametrize("kind", ["float", "double"])
@pytest.mark.parametrize(
    "numbers",
    [NUMBERS, (0.5,), (1, 2), (-1, 2**63), (2**53 + 1,), (ROUNDED_TWICE, 1), (2**64 - 1, 7)],
)
def test_many_numbers_are_read_like_a_few(kind: str, numbers: tuple[float, ...]) -> None:
    port = port_of(KINDS[kind], -1, 2)
    values = np.resize(np.array(numbers, object), (MANY, 2)).tolist()
    body = orjson.dumps({"instances": values})
    assert quick(body, port) is not None
    assert_same(body, port)


@pytest.mark.parametrize(
    "row",
    [b"[1,]2", b"[1]2,", b"1[,2]", b"[,1]2", b"[1 2,]", b"[,]", b"[1,2],", b"[1,null]", b"[1,01]"],
)
@pytest.mark.parametrize("at", [0, MANY // 2, MANY - 1])
def test_one_bad_row_of_many_is_left_to_the_exact_reader(row: bytes, at: int) -> None:
    rows = [b"[1,2]"] * MANY
    rows[at] = row
    assert quick(b'{"instances":[' + b", ".join(rows) + b"]}", PAIRS) is None


@pytest.mark.parametrize(
    "rows",
    [
        b"[1,]2,[3,4]", b"[1]2,[3,4]", b"1[,2],[3,4]", b"[,]1,2,[3,4]", b"[1,2],[3,4]5", b"[1 2,],[3,4]",
        b"1", b"[1,2],[3]", b"[1,2],[3,4,5]", b"[1,2],[[3,4]]", b"[1,2],", b"", b"[1,2][3,4]", b"[1,+2]",
        b"[01,2]", b"[1,.5]", b"[1,2.]", b"[1,-]", b"[1,1e]", b"[1,NaN]", b"[1,true]", b'[1,"2"]', b"[1,null]",
        b'{"x":[1,2],"x":[3,4]}', b'{"x":[1,2],"y":[3,4]}', b'{"y":[1,2]}', b'{"x":[1,2]},[3,4]', b'{"x" [1,2]:}',
    ],
)  # fmt: skip
def test_the_unusual_is_left_to_the_exact_reader(rows: bytes) -> None:
    assert quick(b'{"instances":[' + rows + b"]}", PAIRS) is None


@pytest.mark.parametrize(
    "rows",
    [
        b'{"x":}1,{"x":2}', b'{"x"1:},{"x":2}', b'{1"x":},{"x":2}', b'{"x":1},{"x":}2', b'{:"x"1}', b'{ :1"x"}',
        b'{"x":1},{ : "x"2}', b'"x"{:1}',
    ],
)  # fmt: skip
def test_a_name_or_number_beside_its_place_in_an_object_is_left_to_the_exact_reader(
    rows: bytes,
) -> None:
    assert quick(b'{"instances":[' + rows + b"]}", port_of(KINDS["float"], -1)) is None


@pytest.mark.parametrize(
    ("values", "shape"),
    [
        (b"[]", ()), (b"[ ]", ()), (b"[[]]", (1,)), (b"[[[ ]]]", (1, 1)), (b'{"x":[]}', ()), (b'{"x":[[]]}', (1,)),
        (b'[{"x":}]', ()), (b'[{"x":[]}]', (1,)), (b'[{"x" : [ ]}]', (1,)),
    ],
)  # fmt: skip
@pytest.mark.parametrize("form", [b"instances", b"inputs"])
def test_a_list_without_its_only_number_is_left_to_the_exact_reader(
    form: bytes, values: bytes, shape: tuple[int, ...]
) -> None:
    """No comma says that it is missing."""
    port = port_of(KINDS["float"], -1, *shape)
    assert quick(b'{"%s":%s}' % (form, values), port) is None


@pytest.mark.parametrize(
    "body",
    [
        b'{"instances":[[1,2]],"inputs":[[1,2]]}',
        b'{"instances":[[1,2]],"instances":[[1,2]]}',
        b'{"signature_name":"a","instances":[[1,2]],"signature_name":"b"}',
        b'{"signature_name":"\\u0061","instances":[[1,2]]}',
        b'{"instances":[[1,2]]}}',
        b'{"instances":[[1,2]]',
        b'[{"instances":[[1,2]]}]',
        b"",
    ],
)
def test_other_documents_are_left_to_the_exact_reader(body: bytes) -> None:
    assert quick(body, PAIRS) is None


@pytest.mark.parametrize(
    "port",
    [
        port_of(KINDS["int32"], -1, 2),
        port_of(KINDS["string"], -1, 2),
        port_of(KINDS["float"], -1, -1),
        port_of(KINDS["float"], -1, 0),
        Port("x", KINDS["float"], None, "x:0"),
        port_of(KINDS["float"]),
        port_of(None, -1, 2),
    ],
)
def test_inputs_that_do_not_say_what_they_take_are_left_too(port: Port) -> None:
    assert quick(b'{"instances":[[1,2]]}', port) is None
