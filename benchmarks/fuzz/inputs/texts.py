"""What the parsers of requests are given without a server: JSON, paths, gzip, TensorProtos."""

from __future__ import annotations

import gzip
from random import Random

from hypothesis import strategies as st

from benchmarks.fuzz.inputs import http, json_bodies, messages
from benchmarks.fuzz.inputs.input import Input, Inputs
from benchmarks.fuzz.inputs.mutation import mutate
from benchmarks.fuzz.inputs.served import HALF, IDENTITIES, NUMBERS, SIGNATURES
from benchmarks.fuzz.inputs.tensors import tensors

_KINDS = ["json_text", "predict_body", "number_body", "examples_body", "gzip_body"]


@st.composite
def text_inputs(draw: st.DrawFn) -> list[Input]:
    """One of them as it was meant, and the same damaged."""
    kind = draw(st.sampled_from(_KINDS))
    content = draw(_contents(kind))
    random = Random(draw(st.integers(0, 2**32)))
    damaged = mutate(content, random, json_bodies.WORDS)
    others = (mutate(each, random, json_bodies.WORDS) for each in (content, content, damaged))
    return [Input(kind, each) for each in (content, damaged, *others)]


@st.composite
def _contents(draw: st.DrawFn, kind: str) -> bytes:
    """The first byte of two kinds chooses what the rest is read for."""
    if kind == "json_text":
        return json_bodies.dump(draw(json_bodies.JSON))
    if kind == "examples_body":
        return draw(json_bodies.example_bodies())[1]
    if kind == "number_body":
        choice = draw(st.integers(0, len(NUMBERS) - 1))
        bodies = json_bodies.predict_bodies("serving_default", {"x": NUMBERS[choice]})
        return bytes([choice]) + draw(bodies)
    choice = draw(st.integers(0, len(IDENTITIES) - 1))
    signature = f"same_{IDENTITIES[choice]}"
    body = draw(json_bodies.predict_bodies(signature, SIGNATURES[HALF][signature]))
    return gzip.compress(body, 1, mtime=0) if kind == "gzip_body" else bytes([choice]) + body


@st.composite
def proto_inputs(draw: st.DrawFn) -> list[Input]:
    """A serialized TensorProto, and the same damaged."""
    name = draw(st.sampled_from(IDENTITIES))
    content = draw(tensors((name, draw(st.sampled_from([(), (2,), (0,)]))))).SerializeToString()
    random = Random(draw(st.integers(0, 2**32)))
    damaged = mutate(content, random, messages.WORDS)
    return [Input("tensor_proto", each) for each in (content, damaged)]


@st.composite
def path_inputs(draw: st.DrawFn) -> list[Input]:
    """The path of every URL that ``http`` makes."""
    lines = [each.content.split(b" ", 2) for each in draw(http.URLS)]
    return [Input("url_path", line[1]) for line in lines if len(line) == 3]


TEXTS: Inputs = st.one_of(text_inputs(), text_inputs(), proto_inputs(), path_inputs())
