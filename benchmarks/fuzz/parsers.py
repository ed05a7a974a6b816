"""The parsers that take bytes, each with what must hold of it.

``python -m benchmarks.fuzz.parsers`` reads ``<parser> <size>`` and so many bytes from its standard input,
again and again, and writes ``["fine" or "wrong", words]`` for each. It writes a line when it is ready.
"""

from __future__ import annotations

import json
import logging
import math
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError
from grpc import StatusCode

from benchmarks.fuzz.inputs.served import NUMBERS
from benchmarks.fuzz.inputs.settings import SEPARATOR
from serving.tfserving.element_types import ELEMENT_TYPES
from serving.tfserving.embedded.graph.signature import Port, Signature
from serving.tfserving.embedded.json.examples import read_examples
from serving.tfserving.embedded.json.flat import glance, read_flat
from serving.tfserving.embedded.json.tensors import Body, parse_body, read_inputs
from serving.tfserving.embedded.json.text import parse_json
from serving.tfserving.embedded.listening import read_channel_arguments
from serving.tfserving.embedded.options.batching_parameters import read_batching_parameters
from serving.tfserving.embedded.options.command_line import read_command_line
from serving.tfserving.embedded.options.config_files import read_text_file
from serving.tfserving.embedded.options.configuration import check_transition, read_setups
from serving.tfserving.embedded.options.flags import Flags, check_flags
from serving.tfserving.embedded.options.monitoring import read_metrics_path
from serving.tfserving.embedded.options.tls import read_server_credentials
from serving.tfserving.embedded.rest.body import unpack
from serving.tfserving.embedded.rest.path import find_target
from serving.tfserving.embedded.status import StatusError
from serving.tfserving.messages import ModelServerConfig, TensorProto
from serving.tfserving.tensor_proto import from_proto, to_proto

Parser = Callable[[bytes], None]

_OUR_FAULT = (StatusCode.INTERNAL, StatusCode.UNKNOWN)
_MOST_ELEMENTS = 100_000
"""Of tensors that are written and read again."""


def check(parser: Parser, content: bytes) -> None:
    """Run a parser; what it refuses is fine.

    Raises:
        AssertionError: what must hold does not, or a refusal has no reason.
        Exception: whatever else it raises instead of a StatusError.
    """
    try:
        parser(content)
    except StatusError as error:
        assert error.message, "refused without a word"
        assert error.code not in _OUR_FAULT, f"refused as our own fault: {error}"


def read_json_text(content: bytes) -> None:
    """What the quick parser takes, the exact one takes for the same."""
    found = parse_json(content)
    try:
        # What follows the first value counts for nothing, but the quick parser does not know.
        again = parse_json(content + b" ?")
    except StatusError as error:
        raise AssertionError(f"only the quick parser takes it: {error}") from error
    assert repr(found) == repr(again), f"{found!r} and {again!r}"


def read_predict_body(content: bytes) -> None:
    """Tensors that are read whole are those that are read element by element.

    The first byte chooses the element type.
    """
    signature = _IDENTITIES[content[0] % len(_IDENTITIES)] if content else _IDENTITIES[0]
    body = parse_body(content[1:])
    exact = Body(body.document, body.signature_name, has_truths=True)
    whole, single = _tried(body, signature), _tried(exact, signature)
    if isinstance(whole, StatusError) or isinstance(single, StatusError):
        assert type(whole) is type(single), f"{whole} and {single}"
        raise whole if isinstance(whole, StatusError) else single
    for name, array in whole.items():
        assert _are_same(array, single[name]), f"{array!r} and {single[name]!r}"


def read_number_body(content: bytes) -> None:
    """What is read without making its lists is read alike by way of them.

    The first byte chooses the input.
    """
    signature = _NUMBERS[content[0] % len(_NUMBERS)] if content else _NUMBERS[0]
    found = glance(content[1:])
    array = None if found is None else read_flat(found, signature.inputs["x"])
    if found is None or array is None:
        return
    try:
        body = parse_body(content[1:])
        form, inputs = read_inputs(body, signature)
    except StatusError as error:
        raise AssertionError(f"only the quick reader takes it: {error}") from error
    told = (found.form, found.signature_name)
    assert told == (form, body.signature_name), f"{told}, {form} and {body.signature_name!r}"
    assert _are_same(array, inputs["x"]), f"{array!r} and {inputs['x']!r}"


def read_examples_body(content: bytes) -> None:
    """What is read can be sent on."""
    read_examples(parse_body(content)).SerializeToString()


def read_gzip_body(content: bytes) -> None:
    """Nothing is as good as something damaged."""
    assert isinstance(unpack(content), bytes)


def read_url_path(content: bytes) -> None:
    """A version is a number of 64 bits, or said to be none."""
    for method in ("GET", "POST", "PUT"):
        target = find_target(method, content.decode("latin-1"))
        if target is not None and target.address.version is not None:
            assert 0 <= target.address.version < 2**63


def read_tensor_proto(content: bytes) -> None:
    """What is read can be written and read again."""
    proto = TensorProto()
    try:
        proto.ParseFromString(content)
        array = from_proto(proto)
    except (DecodeError, ValueError):
        return
    sizes = [dimension.size for dimension in proto.tensor_shape.dim]
    assert array.shape == tuple(sizes), f"{array.shape} for {sizes}"
    if math.prod(sizes) <= _MOST_ELEMENTS:
        for as_content in (False, True):
            again = from_proto(to_proto(array, as_content, strings_too=True))
            assert _are_same(array, again), f"{array!r} and {again!r}"


def read_command(content: bytes) -> None:
    """The command line, the flags' check, and what is read from two of them."""
    arguments = [each.decode(errors="surrogateescape") for each in content.split(SEPARATOR)]
    line = read_command_line(arguments)
    check_flags(line.flags)
    read_channel_arguments(line.flags.grpc_channel_arguments)


def read_arguments(content: bytes) -> None:
    read_channel_arguments(content.decode(errors="surrogateescape"))


def make_parsers(folder: Path) -> Mapping[str, Parser]:
    """All of them by name.

    Args:
        folder: for the files that some of them read.
    """
    return {
        "json_text": read_json_text,
        "predict_body": read_predict_body,
        "number_body": read_number_body,
        "examples_body": read_examples_body,
        "gzip_body": read_gzip_body,
        "url_path": read_url_path,
        "tensor_proto": read_tensor_proto,
        "command_line": read_command,
        "channel_arguments": read_arguments,
        "model_config": _from_file(folder, _read_model_config),
        "batching_parameters": _from_file(folder, _read_batching),
        "monitoring": _from_file(folder, _read_monitoring),
        "ssl": _from_file(folder, read_server_credentials),
    }


def _from_file(folder: Path, read: Callable[[str], object]) -> Parser:
    path = folder / "settings"

    def parse(content: bytes) -> None:
        path.write_bytes(content)
        read(str(path))

    return parse


def _read_model_config(path: str) -> None:
    config = ModelServerConfig()
    read_text_file(path, config)
    check_transition(ModelServerConfig(), config)
    for setup in read_setups(config):
        assert setup.base_path.startswith("/") or "://" in setup.base_path, setup.base_path


def _read_batching(path: str) -> None:
    parameters = read_batching_parameters(path)
    parameters.check_threads()
    parameters.check_queue()
    assert parameters.padded(1) >= 1


def _read_monitoring(path: str) -> None:
    flags = Flags(rest_api_port=8501, monitoring_config_file=path)
    shown = read_metrics_path(flags)
    assert shown is None or shown


def _tried(body: Body, signature: Signature) -> Any:
    """The tensors, or why there are none."""
    try:
        return read_inputs(body, signature)[1]
    except StatusError as error:
        return error


def _are_same(one: np.ndarray, other: np.ndarray) -> bool:
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    return (
        one.tolist() == other.tolist() if one.dtype.hasobject else one.tobytes() == other.tobytes()
    )


_IDENTITIES = [
    Signature(kind.name, {"value": Port("value", kind, None, "value:0")}, {})
    for kind in ELEMENT_TYPES
]

_KINDS = {kind.dtype.name: kind for kind in ELEMENT_TYPES}
_NUMBERS = [
    Signature("x", {"x": Port("x", _KINDS[name], (-1, *shape), "x:0")}, {})
    for name, shape in NUMBERS
]

NAMES = tuple(make_parsers(Path()))


def main() -> None:
    """Answer until there is no more input."""
    logging.disable()
    stdin, stdout = sys.stdin.buffer, sys.stdout
    with tempfile.TemporaryDirectory() as folder:
        parsers = make_parsers(Path(folder))
        print("ready", flush=True)
        while line := stdin.readline():
            name, size = line.decode().split()
            print(
                json.dumps(_verdict(parsers[name], stdin.read(int(size)))), file=stdout, flush=True
            )


def _verdict(parser: Parser, content: bytes) -> tuple[str, str]:
    try:
        check(parser, content)
    except Exception as error:
        return "wrong", f"{type(error).__name__}: {error}"[:500]
    return "fine", ""


if __name__ == "__main__":
    main()
