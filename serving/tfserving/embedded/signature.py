"""What a signature of a SavedModel takes and gives, and whether tensors fit it.

A tensor that does not fit must not reach the session: TensorFlow 2.21 aborts the whole process when
a convolution gets a tensor of the wrong rank (a CHECK in its oneDNN kernel).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from serving.tfserving.embedded.status import StatusError, invalid
from serving.tfserving.tensor_proto import BY_NUMBER, STRING, ElementType, element_type

DEFAULT_SIGNATURE = "serving_default"
INIT_OP_SIGNATURE = "__saved_model_init_op"


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
        return cls(name, BY_NUMBER.get(info.dtype), sizes, info.name)

    def check(self, array: np.ndarray) -> None:
        """Raises:
        StatusError: other element type, rank or size than the signature's.
        """
        kind = element_type(array)
        if self.kind is None or kind is not self.kind:
            wanted = self.kind.name if self.kind else "of an unsupported type"
            raise invalid(
                f'Input "{self.name}" is expected to be {wanted} but {kind.name} is provided'
            )
        if self.shape is not None and not _fits(array.shape, self.shape):
            raise invalid(
                f'Input "{self.name}" has shape {_spell(array.shape)} but the signature expects '
                f"{_spell(self.shape)}"
            )

    def zeros(self) -> np.ndarray | None:
        """A smallest tensor that fits, for warming up; None where rank or type is open."""
        if self.kind in (None, STRING) or self.shape is None:
            return None
        return np.zeros([1 if size < 0 else size for size in self.shape], self.kind.dtype)


@dataclass(frozen=True)
class Signature:
    """The inputs and outputs of one entry point of the model, by name."""

    name: str
    inputs: Mapping[str, Port]
    outputs: Mapping[str, Port]

    @classmethod
    def read(cls, name: str, definition: Any) -> Signature:
        """From a SignatureDef."""
        return cls(
            name,
            {key: Port.read(key, definition.inputs[key]) for key in sorted(definition.inputs)},
            {key: Port.read(key, definition.outputs[key]) for key in sorted(definition.outputs)},
        )

    def check_inputs(self, inputs: Mapping[str, np.ndarray]) -> None:
        """Raises:
        StatusError: an input is missing or unknown, or a tensor does not fit.
        """
        if inputs.keys() != self.inputs.keys():
            raise self._names_differ(inputs)
        for name, array in inputs.items():
            self.inputs[name].check(array)

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

    def _names_differ(self, inputs: Iterable[str]) -> StatusError:
        """The words are those of ``VerifyRequestInputsSize`` in ``predict_util.cc``."""
        sent, wanted = sorted(inputs), sorted(self.inputs)
        extra = ",".join(sorted(set(sent) - set(wanted)))
        missing = ",".join(sorted(set(wanted) - set(sent)))
        if len(sent) == len(wanted):
            return invalid(
                f"input tensor alias not found in signature: {extra}. Inputs expected to be in "
                f"the set {{{','.join(wanted)}}}."
            )
        return invalid(
            f"input size does not match signature: {len(sent)}!={len(wanted)} "
            f"len({{{','.join(sent)}}}) != len({{{','.join(wanted)}}}). "
            f"Sent extra: {{{extra}}}. Missing but required: {{{missing}}}."
        )


def _fits(found: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    return len(found) == len(wanted) and all(
        there in (-1, here) for here, there in zip(found, wanted, strict=True)
    )


def _spell(shape: tuple[int, ...]) -> str:
    return f"[{','.join(map(str, shape))}]"
