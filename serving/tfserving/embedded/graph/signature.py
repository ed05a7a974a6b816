"""What a signature of a SavedModel takes and gives, and whether tensors fit it.

TF Serving leaves it to the session whether a tensor's shape fits: what a signature says of shapes
is not held against requests, and ``half_plus_two`` answers ``[1, 2]`` although it declares (N, 1).
Here that is so for graphs of harmless operations. Where there are others, a tensor of another shape
must not reach the session: TensorFlow 2.21 aborts the whole process when a convolution gets a tensor
of the wrong rank (a CHECK in its oneDNN kernel).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from grpc import StatusCode

from serving.tfserving.element_types import BY_NUMBER, STRING, ElementType, element_type
from serving.tfserving.embedded.status import StatusError, invalid

DEFAULT_SIGNATURE = "serving_default"
INIT_OP_SIGNATURE = "__saved_model_init_op"

PREDICT_METHOD = "tensorflow/serving/predict"
CLASSIFY_METHOD = "tensorflow/serving/classify"
REGRESS_METHOD = "tensorflow/serving/regress"

_FRAGILE = re.compile("Conv|Pool|BatchNorm|LRN|Mkl|OneDnn|Quantized|Fused|RNN|LSTM|GRU|Xla")
"""Operations that may end the process over a tensor of the wrong rank.

Tried on TensorFlow 2.21, 48 kinds with tensors of ten shapes each: all convolutions and ``MaxPool3D``
did. The other names are here because the same library computes them.
"""

_REFERENCE = 100
"""An output that is a variable of TensorFlow 1 itself: ``DT_FLOAT_REF`` is ``DT_FLOAT`` and this; its answer
is of the type without it."""

MAX_STRING_RANK = 32
"""TensorFlow 2.21 goes over numpy's texts with an iterator that numpy 2 gives up to this rank, and does not
look whether there is one: beyond it the process ends."""


@dataclass(frozen=True)
class Port:
    """One input or output of a signature.

    Attributes:
        name: its name in requests and answers.
        kind: element type; None where a tensor cannot have it (resources, for example).
        shape: -1 for a size that is open; None where even the rank is.
        node: its tensor in the graph, ``name:0``.
    """

    name: str
    kind: ElementType | None
    shape: tuple[int, ...] | None
    node: str

    @classmethod
    def read(cls, name: str, info: Any) -> Port:
        shape = info.tensor_shape
        sizes = None if shape.unknown_rank else tuple(each.size for each in shape.dim)
        number = info.dtype % _REFERENCE
        return cls(name, BY_NUMBER.get(number), sizes, info.name)

    def fits(self, array: np.ndarray) -> bool:
        """Whether the shape is one that the signature declares."""
        return self.shape is None or _fits(array.shape, self.shape)

    def zeros(self) -> np.ndarray | None:
        """A smallest tensor that fits, for warming up; None where rank or type is open."""
        if self.kind in (None, STRING) or self.shape is None:
            return None
        return np.zeros([1 if size < 0 else size for size in self.shape], self.kind.dtype)


@dataclass(frozen=True)
class Signature:
    """One entry point of the model.

    Attributes:
        name: its own.
        inputs: by name.
        outputs: by name.
        method: the ``method_name`` in the file; TensorFlow 2 writes the same one into all.
        defaults: TensorProtos for inputs that a request may leave out.
        holds_shapes: whether tensors of another shape than the signature's are refused.
        fed: tensors in the graph that are inputs and cannot be fetched, by the output that asks for it.
    """

    name: str
    inputs: Mapping[str, Port]
    outputs: Mapping[str, Port]
    method: str = PREDICT_METHOD
    defaults: Mapping[str, Any] = field(default_factory=dict)
    holds_shapes: bool = True
    fed: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(
        cls, name: str, definition: Any, holds_shapes: bool = True, is_for_session: bool = False
    ) -> Signature:
        """From a SignatureDef."""
        inputs = {key: Port.read(key, definition.inputs[key]) for key in sorted(definition.inputs)}
        outputs = {
            key: Port.read(key, definition.outputs[key]) for key in sorted(definition.outputs)
        }
        feeds = {port.node for port in inputs.values()} if is_for_session else set()
        return cls(
            name,
            inputs,
            outputs,
            definition.method_name,
            {key: definition.defaults[key] for key in sorted(definition.defaults)},
            holds_shapes,
            {key: port.node for key, port in outputs.items() if port.node in feeds},
        )

    def check_method(self) -> None:
        """Only with ``--enable_signature_method_name_check``.

        Raises:
            StatusError: the signature was made for something else; the words are those of
                ``VerifySignature`` in ``predict_util.cc``.
        """
        allowed = (PREDICT_METHOD, CLASSIFY_METHOD, REGRESS_METHOD)
        if self.method not in allowed:
            raise StatusError(
                StatusCode.INTERNAL,
                "Expected prediction signature method_name to be one of "
                f"{{{', '.join(allowed)}}}. Was: {self.method}",
            )

    def check_count(self, names: Iterable[str]) -> None:
        """The words are those of ``VerifyRequestInputsSize`` in ``predict_util.cc``.

        Raises:
            StatusError: more inputs than the signature has, or fewer where none has a default.
        """
        sent, wanted = set(names), set(self.inputs)
        if len(sent) == len(wanted) or (len(sent) < len(wanted) and self.defaults):
            return
        raise invalid(
            f"input size does not match signature: {len(sent)}!={len(wanted)} "
            f"len({{{_join(sent)}}}) != len({{{_join(wanted)}}}). "
            f"Sent extra: {{{_join(sent - wanted)}}}. "
            f"Missing but required: {{{_join(wanted - sent)}}}."
        )

    def check_names(self, names: Iterable[str]) -> None:
        """The words are those of ``GetInputValues`` in TensorFlow's ``cc/saved_model/util.cc``.

        Raises:
            StatusError: an input is missing, or one is not the signature's.
        """
        sent = set(names)
        for name, port in self.inputs.items():
            if name not in sent and name not in self.defaults:
                raise invalid(
                    f"Signature input alias: {name}(feed name: {port.node}) not found in request "
                    "and no default value provided. Inputs expected to be in the request "
                    f"{{{_join(sent)}}}, or default input alias set: {_join(self.defaults)}"
                )
        if not sent <= self.inputs.keys():
            raise invalid(
                "Inputs contains invalid name. Used request inputs: "
                f"{_join(sent & self.inputs.keys())}, request input: {_join(sent)}"
            )

    def check_inputs(self, inputs: Mapping[str, np.ndarray]) -> None:
        """What the session would refuse, or not survive.

        Raises:
            StatusError: an input is missing or unknown, or a tensor does not fit.
        """
        if inputs.keys() != self.inputs.keys():
            self.check_count(inputs)
            self.check_names(inputs)
        for name, array in inputs.items():
            port = self.inputs[name]
            if port.kind is None or array.dtype != port.kind.dtype:
                self._check_kind(port, array)
            if self.holds_shapes and not port.fits(array):
                raise invalid(
                    f'Input "{name}" has shape {_spell(array.shape)} but the signature expects '
                    f"{_spell(port.shape or ())}"
                )
            if array.ndim > MAX_STRING_RANK and array.dtype.hasobject:
                raise invalid(
                    f'Input "{name}" has rank {array.ndim}; at most {MAX_STRING_RANK} is possible '
                    "for strings"
                )

    def check_output_filter(self, names: Iterable[str]) -> None:
        """Raises:
        StatusError: an unknown output, or one twice.
        """
        seen = set()
        for name in names:
            if name not in self.outputs:
                raise invalid(
                    f"output tensor alias not found in signature: {name} Outputs expected to be "
                    f"in the set {{{','.join(self.outputs)}}}."
                )
            if name in seen:
                raise invalid(f"duplicate output tensor alias: {name}")
            seen.add(name)

    def check_fetches(self, wanted: Collection[str]) -> None:
        """The words are those of ``RewriteGraphForExecution`` in TensorFlow's ``subgraph.cc``.

        Args:
            wanted: names of outputs; all where empty.

        Raises:
            StatusError: an output is an input as well, which a session does not fetch.
        """
        for name, node in self.fed.items():
            if not wanted or name in wanted:
                raise invalid(f"{node} is both fed and fetched.")

    def _check_kind(self, port: Port, array: np.ndarray) -> None:
        """The words are those of ``FunctionCallFrame::SetArgs`` in ``call_frame.cc``.

        The session sorts what it is fed by its name in the graph, and counts that.
        """
        kind = element_type(array)
        if kind is not port.kind:
            place = sorted(each.node for each in self.inputs.values()).index(port.node)
            wanted = port.kind.name if port.kind else "a type that cannot be sent"
            raise invalid(f"Expects arg[{place}] to be {wanted} but {kind.name} is provided")


def is_fragile(graph_def: Any) -> bool:
    """Whether a GraphDef, or a function in it, has an operation that is not known as harmless."""
    nodes = (
        node
        for group in (graph_def.node, *(each.node_def for each in graph_def.library.function))
        for node in group
    )
    return any(_FRAGILE.search(op) for op in {node.op for node in nodes})


def _join(names: Iterable[str]) -> str:
    return ",".join(sorted(names))


def _fits(found: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    return len(found) == len(wanted) and all(
        there in (-1, here) for here, there in zip(found, wanted, strict=True)
    )


def _spell(shape: tuple[int, ...]) -> str:
    return f"[{','.join(map(str, shape))}]"
