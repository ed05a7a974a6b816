"""A version's ``model.tflite`` as a Servable, with ``--prefer_tflite_model``.

As ``servables/tensorflow/tflite_session.cc``, by LiteRT's interpreter. Signatures are those that
TensorFlow's converter left in the file's metadata; where there are none, one is made of the tensors.
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError
from grpc import StatusCode

from serving.tfserving.element_types import STRING, element_type
from serving.tfserving.embedded.graph.calls import Run
from serving.tfserving.embedded.graph.saved_model import Servable
from serving.tfserving.embedded.graph.signature import (
    DEFAULT_SIGNATURE,
    PREDICT_METHOD,
    Port,
    Signature,
)
from serving.tfserving.embedded.status import StatusError, invalid
from serving.tfserving.messages import SignatureDef

log = logging.getLogger(__name__)

FILE = "model.tflite"
_METADATA = b"signature_defs_metadata"

Indices = Mapping[str, int]
"""Of the interpreter's tensors, by their names."""


class Pool:
    """Interpreters, of which each works on one request at a time."""

    def __init__(self, interpreters: Iterable[Any]) -> None:
        self._free: SimpleQueue[Any] = SimpleQueue()
        for each in interpreters:
            self._free.put(each)

    def run(
        self, inputs: list[tuple[str, int]], outputs: list[int], *arrays: np.ndarray
    ) -> list[np.ndarray]:
        """The outputs' arrays for the inputs'; waits for an interpreter.

        Args:
            inputs: name and index of each.
            outputs: indices.
            arrays: of the inputs, in their order.

        Raises:
            StatusError: INTERNAL, the model cannot take them.
        """
        interpreter = self._free.get()
        try:
            for (name, index), array in zip(inputs, arrays, strict=True):
                _resize(interpreter, name, index, array)
            _try("Failed to allocate tensors", interpreter.allocate_tensors)
            for (_, index), array in zip(inputs, arrays, strict=True):
                interpreter.set_tensor(index, array)
            _try("Failed to invoke TfLite interpreter", interpreter.invoke)
            return [interpreter.get_tensor(index) for index in outputs]
        finally:
            self._free.put(interpreter)

    def close(self) -> None:
        """Interpreters end with their last reference."""


def load_tflite(name: str, version: int, folder: Path, pool_size: int, threads: int) -> Servable:
    """Load a version's ``model.tflite``.

    Args:
        name: the model's.
        version: its number.
        folder: the version's.
        pool_size: interpreters, at least one.
        threads: of each; 0 leaves it to LiteRT.

    Raises:
        StatusError: the file is no such model, or LiteRT is not installed.
    """
    content = (folder / FILE).read_bytes()
    made = [_make_interpreter(content, threads) for _ in range(max(pool_size, 1))]
    inputs, outputs = made[0].get_input_details(), made[0].get_output_details()
    definitions = _read_definitions(content) or _make_definitions(inputs, outputs)
    pool = Pool(made)
    signatures = {
        key: Signature.read(key, each, holds_shapes=False) for key, each in definitions.items()
    }
    runs = {
        key: _prepare(pool, each, _indices(inputs), _indices(outputs))
        for key, each in signatures.items()
    }
    return Servable(name, version, signatures, definitions, pool, runs)


def _make_interpreter(content: bytes, threads: int) -> Any:
    try:
        # Not every server serves such files, and not every one has the package.
        from ai_edge_litert.interpreter import Interpreter  # noqa: PLC0415
    except ImportError as error:
        raise StatusError(
            StatusCode.UNIMPLEMENTED,
            f"--prefer_tflite_model needs the package ai-edge-litert: {error}",
        ) from error
    try:
        return Interpreter(model_content=content, num_threads=threads or None)
    except (ValueError, RuntimeError) as error:
        log.error("%s", error)
        raise invalid("Cannot build FlatBufferModel from buffer.") from error


def _read_definitions(content: bytes) -> dict[str, Any]:
    """The SignatureDefs in the file's metadata: a map from names to messages, as flexbuffers has it."""
    from ai_edge_litert.schema_py_generated import Model  # noqa: PLC0415

    model = Model.GetRootAs(content)
    for place in range(model.MetadataLength()):
        metadata = model.Metadata(place)
        if metadata.Name() == _METADATA:
            return _parse_definitions(bytes(model.Buffers(metadata.Buffer()).DataAsNumpy()))
    return {}


def _parse_definitions(packed: bytes) -> dict[str, Any]:
    from flatbuffers import flexbuffers  # noqa: PLC0415

    try:
        found = flexbuffers.GetRoot(packed).AsMap
        return {
            key.AsKey: SignatureDef.FromString(found[key.AsKey].AsStringBytes) for key in found.Keys
        }
    except (DecodeError, ValueError, IndexError, TypeError, struct.error) as error:
        raise invalid(f"Invalid SignatureDefs found in TfLite model: {error}") from error


def _make_definitions(
    inputs: list[Mapping[str, Any]], outputs: list[Mapping[str, Any]]
) -> dict[str, Any]:
    log.warning("No signature def found in TFLite model. Generating one.")
    definition = SignatureDef(method_name=PREDICT_METHOD)
    for ports, details in ((definition.inputs, inputs), (definition.outputs, outputs)):
        for each in details:
            info = ports[_legacy(each["name"])]
            info.name, info.dtype = each["name"], _number(each["dtype"])
            info.tensor_shape.SetInParent()
            for size in each["shape"]:
                info.tensor_shape.dim.add(size=int(size))
    return {DEFAULT_SIGNATURE: definition}


def _prepare(pool: Pool, signature: Signature, inputs: Indices, outputs: Indices) -> Run:
    named = [
        (port.node, _find(port, inputs, "Signature input")) for port in signature.inputs.values()
    ]
    wanted = [_find(port, outputs, "Signature output") for port in signature.outputs.values()]
    return partial(pool.run, named, wanted)


def _find(port: Port, indices: Indices, what: str) -> int:
    """Early converters left the ``:0`` of a tensor's name out."""
    for name in (port.node, _legacy(port.node)):
        if name in indices:
            return indices[name]
    raise StatusError(
        StatusCode.INTERNAL,
        f"Unknown tensor '{port.node}'.\n\t{what} {port.name} references an unknown tensor",
    )


def _resize(interpreter: Any, name: str, index: int, array: np.ndarray) -> None:
    _try(
        f"Failed to resize input tensor: {name}",
        partial(interpreter.resize_tensor_input, index, array.shape),
    )


def _try(words: str, step: Any) -> None:
    try:
        step()
    except (ValueError, RuntimeError) as error:
        log.error("%s: %s", words, error)
        raise StatusError(StatusCode.INTERNAL, words) from error


def _indices(details: list[Mapping[str, Any]]) -> Indices:
    return {each["name"]: each["index"] for each in details}


def _legacy(name: str) -> str:
    return name.partition(":")[0]


def _number(dtype: Any) -> int:
    kind = np.dtype(dtype)
    return STRING.number if kind.kind in "OS" else element_type(np.empty(0, kind)).number
