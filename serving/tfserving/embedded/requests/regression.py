"""Which signatures can regress, and their output as one number per example.

Rules and words: TF Serving's ``servables/tensorflow/regressor.cc``. Twin of ``classification``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from serving.tfserving.element_types import element_type
from serving.tfserving.embedded.graph.signature import REGRESS_METHOD, Signature
from serving.tfserving.embedded.status import invalid
from serving.tfserving.messages import RegressionResult

INPUTS = "inputs"
OUTPUTS = "outputs"


def check_signature(signature: Signature, definition: Any, checks_method: bool) -> list[str]:
    """Whether a signature can regress.

    Args:
        signature: the entry point.
        definition: its SignatureDef, for messages.
        checks_method: whether its method name counts too.

    Returns:
        the names of the outputs to ask for.

    Raises:
        StatusError: it cannot.
    """
    if checks_method and signature.method != REGRESS_METHOD:
        raise invalid(
            f"Expected regression signature method_name to be {REGRESS_METHOD}. "
            f"Was: {signature.method}"
        )
    if len(signature.inputs) != 1:
        raise invalid("Expected one input Tensor.")
    if len(signature.outputs) != 1:
        raise invalid("Expected one output Tensor.")
    if INPUTS not in signature.inputs:
        raise invalid(f"No regression inputs found in SignatureDef: {definition}")
    if OUTPUTS not in signature.outputs:
        raise invalid(f"No regression outputs found in SignatureDef: {definition}")
    return [OUTPUTS]


def make_result(outputs: Mapping[str, np.ndarray], examples: int) -> Any:
    """A RegressionResult of the output for that many examples.

    Raises:
        StatusError: the output is not (examples,) or (examples, 1) of floats.
    """
    output = outputs[OUTPUTS]
    if output.ndim != 1 and not (output.ndim == 2 and output.shape[1] == 1):
        sizes = ",".join(map(str, output.shape))
        raise invalid(
            "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] "
            f"but got [{sizes}]"
        )
    if len(output) != examples:
        raise invalid(
            f"Input batch size did not match output batch size: {examples} vs. {len(output)}"
        )
    found = element_type(output).enum_name
    if found != "DT_FLOAT":
        raise invalid(f"Expected output Tensor of DT_FLOAT.  Got: {found}")
    result = RegressionResult()
    for value in output.ravel().tolist():
        result.regressions.add(value=value)
    return result
