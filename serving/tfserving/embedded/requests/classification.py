"""Which signatures can classify, and their outputs as classes with scores.

Rules and words: TF Serving's ``servables/tensorflow/classifier.cc``. Twin of ``regression``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from serving.tfserving.element_types import STRING, element_type
from serving.tfserving.embedded.graph.signature import CLASSIFY_METHOD, Signature
from serving.tfserving.embedded.status import invalid
from serving.tfserving.messages import ClassificationResult

INPUTS = "inputs"
CLASSES, SCORES = "classes", "scores"


def check_signature(signature: Signature, definition: Any, checks_method: bool) -> list[str]:
    """Whether a signature can classify.

    Args:
        signature: the entry point.
        definition: its SignatureDef, for messages.
        checks_method: whether its method name counts too.

    Returns:
        the names of the outputs to ask for.

    Raises:
        StatusError: it cannot.
    """
    if checks_method and signature.method != CLASSIFY_METHOD:
        raise invalid(
            f"Expected classification signature method_name to be {CLASSIFY_METHOD}. "
            f"Was: {signature.method}"
        )
    if len(signature.inputs) != 1:
        raise invalid("Expected one input Tensor.")
    if len(signature.outputs) not in (1, 2):
        raise invalid(f"Expected one or two output Tensors, found {len(signature.outputs)}")
    if INPUTS not in signature.inputs:
        raise invalid(f"No classification inputs found in SignatureDef: {definition}")
    wanted = [name for name in (CLASSES, SCORES) if name in signature.outputs]
    if not wanted:
        raise invalid(
            f'Expected classification signature outputs to contain at least one of "{CLASSES}" or '
            f'"{SCORES}". Signature was: {definition}'
        )
    return wanted


def make_result(outputs: Mapping[str, np.ndarray], examples: int) -> Any:
    """A ClassificationResult of the outputs for that many examples.

    Raises:
        StatusError: the outputs are not (examples, classes) of strings and floats.
    """
    classes, scores = outputs.get(CLASSES), outputs.get(SCORES)
    if classes is not None:
        _check(classes, CLASSES, STRING.enum_name, examples)
    if scores is not None:
        _check(scores, SCORES, "DT_FLOAT", examples)
    if classes is not None and scores is not None and classes.shape[1] != scores.shape[1]:
        raise invalid(
            "Tensors class and score should match in dim_size(1). Got "
            f"{classes.shape[1]} vs. {scores.shape[1]}"
        )
    result = ClassificationResult()
    for row in range(examples):
        _add_row(
            result.classifications.add(),
            None if classes is None else classes[row].tolist(),
            None if scores is None else scores[row].tolist(),
        )
    return result


def _check(array: np.ndarray, name: str, wanted: str, examples: int) -> None:
    if array.ndim != 2:
        sizes = ",".join(map(str, array.shape))
        raise invalid(f"Expected Tensor shape: [batch_size num_classes] but got [{sizes}]")
    found = element_type(array).enum_name
    if found != wanted:
        raise invalid(f"Expected {name} Tensor of {wanted}. Got: {found}")
    if len(array) != examples:
        raise invalid(f"Expected {name} output batch size of {examples}. Got: {len(array)}")


def _add_row(row: Any, labels: list[bytes] | None, scores: list[float] | None) -> None:
    for place in range(len(labels if labels is not None else scores or [])):
        each = row.classes.add()
        if labels is not None:
            each.label = labels[place].decode(errors="replace")
        if scores is not None:
            each.score = scores[place]
