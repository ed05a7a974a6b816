"""The tensors of a PredictRequest, and the defaults of those that it leaves out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from serving.tfserving.embedded.graph.signature import Signature
from serving.tfserving.embedded.status import invalid
from serving.tfserving.tensor_proto import from_proto


def read_protos(signature: Signature, sent: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """One array for each of the signature's inputs.

    Args:
        signature: says which there are.
        sent: TensorProtos by name.

    Raises:
        StatusError: inputs are missing or unknown, or one cannot be read; as in
            ``PreProcessPrediction`` in TF Serving's ``predict_util.cc``.
    """
    signature.check_count(sent)
    signature.check_names(sent)
    return {
        name: _read(name, sent[name] if name in sent else signature.defaults[name])
        for name in signature.inputs
    }


def _read(name: str, proto: Any) -> np.ndarray:
    try:
        return from_proto(proto)
    except ValueError as error:
        raise invalid(f"tensor parsing error: {name}") from error
