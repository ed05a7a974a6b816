"""``:predict``, ``:classify`` and ``:regress``: from the JSON of a request to that of its answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np

from serving.tfserving.embedded.graph.saved_model import Servable
from serving.tfserving.embedded.graph.signature import DEFAULT_SIGNATURE, Signature
from serving.tfserving.embedded.json.answers import write_classes, write_outputs, write_regressions
from serving.tfserving.embedded.json.examples import read_examples
from serving.tfserving.embedded.json.flat import glance, read_flat
from serving.tfserving.embedded.json.tensors import parse_body, read_inputs
from serving.tfserving.embedded.metrics import Metrics
from serving.tfserving.embedded.requests.inference import Inference
from serving.tfserving.embedded.requests.predict import predict
from serving.tfserving.embedded.status import StatusError, invalid
from serving.tfserving.embedded.versions.models import Address, Models
from serving.tfserving.messages import ClassificationRequest, RegressionRequest

Verb = Callable[[Address, bytes], Awaitable[bytes]]


class Verbs:
    """What a model can be asked to do.

    Args:
        models: what is served.
        metrics: counts what the models do.
        checks_method: whether a signature must say that it is for the verb.
    """

    def __init__(self, models: Models, metrics: Metrics, checks_method: bool) -> None:
        self._models = models
        self._metrics = metrics
        self._checks_method = checks_method
        self._inference = Inference(metrics, checks_method)

    @property
    def by_name(self) -> dict[str, Verb]:
        """Each takes an address and a body, and raises StatusError."""
        return {"predict": self.predict, "classify": self.classify, "regress": self.regress}

    async def predict(self, address: Address, text: bytes) -> bytes:
        quick = await self._predict_flat(address, text)
        if quick is not None:
            return quick
        body = parse_body(text)
        with self._models.use(address) as servable:
            signature = _find_signature(servable, body.signature_name)
            form, inputs = read_inputs(body, signature)
            outputs = await self._run(servable, signature, inputs)
        return write_outputs(outputs, signature.outputs, form)

    async def _predict_flat(self, address: Address, text: bytes) -> bytes | None:
        """None where anything is unusual: what is said of it, and what of that first, is ``predict``'s."""
        found = glance(text)
        if found is None:
            return None
        try:
            use = self._models.use(address)
        except StatusError:
            return None
        with use as servable:
            signature = servable.signatures.get(found.signature_name or DEFAULT_SIGNATURE)
            if signature is None or len(signature.inputs) != 1:
                return None
            (port,) = signature.inputs.values()
            array = read_flat(found, port)
            if array is None:
                return None
            outputs = await self._run(servable, signature, {port.name: array})
        return write_outputs(outputs, signature.outputs, found.form)

    async def _run(
        self, servable: Servable, signature: Signature, inputs: dict[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        if self._checks_method:
            signature.check_method()
        return await predict(servable, signature, inputs, self._metrics)

    async def classify(self, address: Address, text: bytes) -> bytes:
        request = _of_examples(ClassificationRequest, address, text)
        with self._models.use(address) as servable:
            response = await self._inference.classify(servable, request)
        return write_classes(response.result)

    async def regress(self, address: Address, text: bytes) -> bytes:
        request = _of_examples(RegressionRequest, address, text)
        with self._models.use(address) as servable:
            response = await self._inference.regress(servable, request)
        return write_regressions(response.result)


def _of_examples(kind: Any, address: Address, text: bytes) -> Any:
    body = parse_body(text)
    request = kind(input=read_examples(body))
    request.model_spec.name = address.name
    request.model_spec.signature_name = body.signature_name
    return request


def _find_signature(servable: Servable, name: str) -> Signature:
    """As ``predict.find_signature``, with the words and code that TF Serving's REST front has."""
    wanted = name or DEFAULT_SIGNATURE
    if wanted not in servable.signatures:
        raise invalid(f'Serving signature name: "{wanted}" not found in signature def')
    return servable.signatures[wanted]
