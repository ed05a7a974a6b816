"""Whole HTTP requests: JSON bodies in every wrapping, and URLs that lead nowhere."""

from __future__ import annotations

import gzip
from random import Random

from hypothesis import strategies as st

from benchmarks.fuzz.inputs.input import Input, Inputs
from benchmarks.fuzz.inputs.json_bodies import WORDS, example_bodies, predict_bodies
from benchmarks.fuzz.inputs.mutation import mutate
from benchmarks.fuzz.inputs.served import (
    HALF,
    LABEL,
    PLACES,
    PLACES_OF_NUMBERS,
    SIGNATURES,
    VERSIONS,
)
from benchmarks.fuzz.lanes.http import API, CUT, HEAD, LOOSE, PAGE

METHODS = (
    *("GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"),
    *("TRACE", "CONNECT", "PROPFIND", "get", "FOO"),
)

HEADERS = [
    *(b"Content-Type: text/plain", b"Content-Encoding: gzip", b"Content-Encoding: x, gzip"),
    *(b"Transfer-Encoding: identity", b"Transfer-Encoding: gzip, chunked", b"Content-Length: -1"),
    *(b"Content-Length: 99999999999999999999", b"Content-Length: 1, 1", b"Host:", b"Host: a b"),
    *(b"Expect: 100-continue", b"Expect: 200-ok", b"Upgrade: websocket\r\nConnection: Upgrade"),
    *(b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings", b"Connection: close", b"X: \xff\xfe"),
    *(
        b"Accept-Encoding: gzip",
        b"Accept: application/xml",
        b"Origin: http://x",
        b": y",
        b"no colon",
    ),
    *(
        b"X-Long: " + b"a" * 9000,
        b" folded: x",
        b"X: a\r\n folded",
        b"X: a\x00b",
        b"Range: bytes=0-1",
    ),
]

_PIECES = [
    *(
        "/v1/models",
        "/v1",
        "/V1/Models",
        "/v2/models",
        "/",
        "//",
        "/v1/models/",
        "/metadata",
        "/..",
    ),
    *(":predict", ":classify", ":regress", ":Predict", ":train", ":", "/versions/", "/labels/"),
    *(
        "/versions/123",
        "/versions/3",
        "/versions/0",
        "/versions/-1",
        f"/labels/{LABEL}",
        "/labels/é",
    ),
    *("/versions/" + "9" * 19, "/versions/" + "9" * 5000, "/versions/00000000000000000000123"),
    *(
        "/versions/9223372036854775808",
        "/versions/\u0661",
        "?x=y",
        "?",
        "#x",
        "%",
        "%00",
        "%2f",
        "%zz",
    ),
    *(
        "%e2%82",
        "+",
        " ",
        ";",
        "*",
        "half",
        "digits",
        "/half",
        "/digits",
        "/nobody",
        "/" + "m" * 3000,
    ),
    *("monitoring/prometheus/metrics", "\t", "\x00", "\u20ac", "\\", "http://x/", "[::1]", "@"),
]


def request(method: bytes, path: bytes, body: bytes = b"", *headers: bytes) -> bytes:
    """A whole request of HTTP/1.1 with a body of known length.

    Args:
        method: anything.
        path: anything.
        body: may be empty.
        headers: whole lines, without their ends.
    """
    lines = [method + b" " + path + b" HTTP/1.1", b"Host: x", *headers]
    return b"\r\n".join([*lines, b"Content-Length: %d" % len(body), b"", body])


@st.composite
def rest_inputs(draw: st.DrawFn) -> list[Input]:
    """A body as it was meant, the same damaged, and the same wrapped in some odd way."""
    path, body = draw(_asked())
    random = Random(draw(st.integers(0, 2**32)))
    damaged = mutate(body, random, WORDS)
    sent = body if random.random() < 0.3 else damaged
    return [
        Input(API, request(b"POST", path, body)),
        Input(API, request(b"POST", path, damaged)),
        Input(API, request(b"POST", path, mutate(damaged, random, WORDS))),
        Input(API, request(b"POST", path, mutate(body, random, WORDS))),
        _wrapped(path, sent, random),
        _wrapped(path, body, random),
    ]


@st.composite
def url_inputs(draw: st.DrawFn) -> list[Input]:
    """Paths put together from pieces, with some method."""
    pieces = draw(st.lists(st.one_of(st.sampled_from(_PIECES), st.text(max_size=3)), max_size=6))
    start = draw(st.sampled_from(["/v1/models/half", "/v1/models/", "/v1/", "/", ""]))
    path = (start + "".join(pieces)).encode(errors="surrogatepass")
    method = draw(st.sampled_from(METHODS)).encode()
    body = draw(st.sampled_from([b"", b"{}", b'{"instances": [1]}']))
    random = Random(draw(st.integers(0, 2**32)))
    kind = HEAD if method == b"HEAD" else PAGE
    quoted = path.replace(b"\r", b"").replace(b"\n", b"").replace(b" ", b"%20")
    return [
        Input(kind, request(method, quoted, body)),
        Input(LOOSE, request(method, path, body)),
        Input(
            LOOSE,
            request(b"POST" if random.random() < 0.5 else b"GET", mutate(path, random, WORDS)),
        ),
    ]


REST: Inputs = rest_inputs()
URLS: Inputs = url_inputs()


@st.composite
def _asked(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """A path that leads to a model, and a body for it."""
    choice = draw(st.integers(0, 9))
    if choice < 3:
        verb, body = draw(example_bodies())
        return f"/v1/models/{HALF}:{verb}".encode(), body
    places = PLACES_OF_NUMBERS if choice == 5 else PLACES
    model, signature = draw(st.sampled_from(places))
    bodies = predict_bodies(signature, SIGNATURES[model][signature])
    body = draw(st.binary(max_size=80) if choice == 3 else bodies)
    version = f"/versions/{VERSIONS[model]}" if choice == 4 else ""
    return f"/v1/models/{model}{version}:predict".encode(), body


def _wrapped(path: bytes, body: bytes, random: Random) -> Input:
    choice = random.randrange(6)
    if choice == 0:
        packed = gzip.compress(body, 1, mtime=0)
        if random.random() < 0.5:
            packed = mutate(packed, random, [b"\x1f\x8b", b"\x00" * 10])
        return Input(API, request(b"POST", path, packed, b"Content-Encoding: gzip"))
    if choice == 1:
        return Input(API, _chunked(path, body, random))
    if choice == 2:
        return Input(
            LOOSE, mutate(_chunked(path, body, random), random, [b"ffffffffff\r\n", b"\r\n", b"-1"])
        )
    if choice == 3:
        whole = request(b"POST", path, body)
        return Input(CUT, whole[: random.randrange(len(whole))])
    if choice == 4:
        return Input(
            LOOSE, mutate(request(b"POST", path, body), random, [b"\r\n", b"\x00", *HEADERS])
        )
    return Input(LOOSE, request(b"POST", path, body, *random.sample(HEADERS, random.randint(1, 2))))


def _chunked(path: bytes, body: bytes, random: Random) -> bytes:
    parts = [b"POST %s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" % path]
    while body:
        size = random.randint(1, 50)
        part, body = body[:size], body[size:]
        parts.append(b"%x%s\r\n%s\r\n" % (len(part), random.choice([b"", b";a=b"]), part))
    return b"".join([*parts, b"0\r\n", random.choice([b"", b"X: y\r\n"]), b"\r\n"])
