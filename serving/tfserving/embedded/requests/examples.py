"""``tensorflow.Example``s of a request as the one tensor that a signature of examples takes.

``InputToSerializedExampleTensor`` in TF Serving's ``servables/tensorflow/util.cc``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from serving.tfserving.embedded.status import invalid


def example_tensor(sent: Any) -> np.ndarray:
    """The examples of an ``Input``, each as its bytes, (N,).

    A context stands before each of them: messages that are joined are merged, and where both have
    a feature the example's counts.

    Raises:
        StatusError: there are none.
    """
    kind = sent.WhichOneof("kind")
    if kind is None or not getattr(sent, kind).examples:
        raise invalid("Input is empty.")
    found = getattr(sent, kind)
    context = found.context.SerializeToString() if kind == "example_list_with_context" else b""
    tensor = np.empty(len(found.examples), object)
    tensor[:] = [context + example.SerializeToString() for example in found.examples]
    return tensor
