"""One prediction, whatever front it came in by."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from grpc import StatusCode

from serving.tfserving.embedded.desk import Desk
from serving.tfserving.embedded.graph.saved_model import Servable
from serving.tfserving.embedded.graph.signature import DEFAULT_SIGNATURE, Signature
from serving.tfserving.embedded.metrics import Metrics
from serving.tfserving.embedded.requests.proto_inputs import read_protos
from serving.tfserving.embedded.status import StatusError

__all__ = ["RUNTIME", "Desk", "find_signature", "predict"]

RUNTIME = "TF1"
"""TF Serving's name for a graph in a session, as opposed to TFRT."""


def find_signature(servable: Servable, name: str) -> Signature:
    """The signature of that name, the default one for an empty name.

    Raises:
        StatusError: there is none.
    """
    wanted = name or DEFAULT_SIGNATURE
    if wanted not in servable.signatures:
        raise StatusError(
            StatusCode.FAILED_PRECONDITION, f'Serving signature key "{wanted}" not found.'
        )
    return servable.signatures[wanted]


async def predict(
    servable: Servable,
    signature: Signature,
    inputs: Mapping[str, np.ndarray],
    metrics: Metrics,
    output_filter: Iterable[str] = (),
    api: str = "Predict",
) -> dict[str, np.ndarray]:
    """Check the tensors, run them, and keep the outputs that were asked for; all where none was.

    Args:
        servable: the version that answers.
        signature: one of its own.
        inputs: tensors by name.
        metrics: counts how long the session took.
        output_filter: names of outputs.
        api: the call that it is for, as the metrics name it.

    Raises:
        StatusError: the request does not fit the signature, or TensorFlow refuses it.
    """
    wanted = list(output_filter)
    if signature.fed:
        signature.check_fetches(wanted)
    signature.check_inputs(inputs)
    signature.check_output_filter(wanted)
    started = time.perf_counter()
    if servable.batcher is None:
        outputs = servable.run(signature, inputs)
    else:
        outputs = await servable.batcher.run(signature, inputs, wanted)
    metrics.runtime_latency.add((servable.name, api, RUNTIME), time.perf_counter() - started)
    return {name: outputs[name] for name in wanted} if wanted else outputs


async def answer_predict(servable: Servable, request: Any, metrics: Metrics) -> None:
    """Answer a PredictRequest for whom nobody waits, whatever model it names: for warming up.

    Args:
        servable: the version that answers.
        request: as it was recorded.
        metrics: counts how long the session took.

    Raises:
        StatusError: as ``predict``; or a tensor cannot be read.
    """
    signature = find_signature(servable, request.model_spec.signature_name)
    inputs = read_protos(signature, request.inputs)
    await predict(servable, signature, inputs, metrics, request.output_filter)
