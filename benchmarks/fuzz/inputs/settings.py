"""Files of settings in protobuf's text format, and command lines."""

from __future__ import annotations

from random import Random
from typing import Any

from hypothesis import strategies as st

from benchmarks.fuzz.inputs.input import Input, Inputs
from benchmarks.fuzz.inputs.mutation import mutate
from serving.tfserving.embedded.options.flags import FLAGS

SEPARATOR = b"\x01"
"""Between the arguments of a command line; none of them has a zero byte, so this is as good."""

_NUMBERS = ["0", "1", "-1", "007", "0x1F", "1.5", "9223372036854775808", "1e9", "inf", "-"]
_STRINGS = [
    '"a"',
    '"/a"',
    "'x'",
    '""',
    '"\\377"',
    '"\\u00e9"',
    '"a" "b"',
    '"tensorflow"',
    '"\n"',
    '"',
]
_OTHERS = ["true", "false", "t", "TENSORFLOW", "OTHER", "{ }", "< >", "[ ]", "[1, 2]", "{", "é", ""]
_VALUES = [*_NUMBERS, *_STRINGS, *_OTHERS]

WORDS = [
    *(
        b"{",
        b"}",
        b"<",
        b">",
        b"[",
        b"]",
        b":",
        b",",
        b";",
        b"#",
        b'"',
        b"'",
        b"\\",
        b"\x00",
        b"\xff",
    ),
    *(
        b"\n",
        b"\xef\xbb\xbf",
        b"-",
        b"--",
        b"=",
        b"config",
        b"value",
        b"key",
        b"[google.protobuf.Any]",
    ),
    *(b"{" * 200, b"config {" * 60, b"9" * 300, b"model_config_list { config {", b"other_field: 1"),
]

Tree = dict[str, Any]
"""Names of a message's fields; a field that is a message has its own tree, else None."""

_POLICY: Tree = {
    "latest": {"num_versions": None},
    "all": {},
    "specific": {"versions": None},
}
_CONFIG: Tree = {
    "name": None,
    "base_path": None,
    "model_platform": None,
    "model_type": None,
    "model_version_policy": _POLICY,
    "version_labels": {"key": None, "value": None},
    "logging_config": {"sampling_config": {"sampling_rate": None}},
}
_BATCHING: Tree = {
    **{
        name: {"value": None}
        for name in (
            "max_batch_size",
            "batch_timeout_micros",
            "max_enqueued_batches",
            "num_batch_threads",
            "thread_pool_name",
            "enable_large_batch_splitting",
            "max_execution_batch_size",
        )
    },
    "allowed_batch_sizes": None,
    "pad_variable_length_inputs": None,
}
TREES: dict[str, Tree] = {
    "model_config": {
        "model_config_list": {"config": _CONFIG},
        "custom_model_config": {"type_url": None, "value": None},
    },
    "batching_parameters": _BATCHING,
    "monitoring": {"prometheus_config": {"enable": None, "path": None}},
    "ssl": dict.fromkeys(("server_key", "server_cert", "custom_ca", "client_verify")),
}
"""By parser."""

_PLAUSIBLE = {"name": '"m"', "base_path": '"/m"', "model_platform": '"tensorflow"', "value": "4"}


@st.composite
def settings_inputs(draw: st.DrawFn) -> list[Input]:
    """A text or a command line as it was meant, and the same damaged."""
    kind = draw(st.sampled_from([*TREES, "command_line", "channel_arguments"]))
    if kind == "command_line":
        content = draw(_command_lines())
    elif kind == "channel_arguments":
        content = draw(_channel_arguments())
    else:
        content = draw(_texts(TREES[kind])).encode(errors="surrogatepass")
    random = Random(draw(st.integers(0, 2**32)))
    damaged = mutate(content, random, WORDS)
    others = (mutate(each, random, WORDS) for each in (content, content, damaged, damaged))
    return [Input(kind, each) for each in (content, damaged, *others)]


SETTINGS: Inputs = settings_inputs()


@st.composite
def _texts(draw: st.DrawFn, tree: Tree) -> str:
    """Some fields of a message, each with a value that may fit it."""
    if not tree:
        return ""
    lines = []
    for name in draw(st.lists(st.sampled_from(sorted(tree)), max_size=5)):
        inner = tree[name]
        if inner is not None:
            lines.append(f"{name} {{ {draw(_texts(inner))} }}")
        elif name in _PLAUSIBLE and draw(st.booleans()):
            lines.append(f"{name}: {_PLAUSIBLE[name]}")
        else:
            lines.append(f"{name}: {draw(st.sampled_from(_VALUES))}")
    return "\n".join(lines)


@st.composite
def _command_lines(draw: st.DrawFn) -> bytes:
    names = st.sampled_from([*FLAGS, "help", "no_such_flag"])
    values = st.one_of(
        st.text(max_size=6), st.sampled_from([*_NUMBERS, "true", "FALSE", "::1", "1=2"])
    )
    arguments = st.one_of(
        names.map("--{}".format),
        st.tuples(names, values).map("--{0[0]}={0[1]}".format),
        st.text(max_size=8),
        st.just("--"),
    )
    drawn = draw(st.lists(arguments, max_size=5))
    return SEPARATOR.join(each.encode(errors="surrogatepass") for each in drawn)


@st.composite
def _channel_arguments(draw: st.DrawFn) -> bytes:
    pair = st.tuples(
        st.sampled_from(["grpc.max_concurrent_streams", "a", ""]), st.sampled_from(_NUMBERS)
    )
    pairs = draw(st.lists(pair.map("{0[0]}={0[1]}".format), max_size=4))
    return ",".join(pairs).encode()
