"""Requests with ``tensorflow.Example``s: Classify, Regress and MultiInference, from either front."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from grpc import StatusCode

from serving.tfserving.embedded.graph.saved_model import Servable
from serving.tfserving.embedded.graph.signature import (
    CLASSIFY_METHOD,
    DEFAULT_SIGNATURE,
    REGRESS_METHOD,
    Signature,
)
from serving.tfserving.embedded.metrics import Metrics
from serving.tfserving.embedded.requests import classification, regression
from serving.tfserving.embedded.requests.examples import example_tensor
from serving.tfserving.embedded.requests.predict import predict
from serving.tfserving.embedded.status import StatusError, invalid
from serving.tfserving.messages import (
    ClassificationResponse,
    MultiInferenceResponse,
    RegressionResponse,
)


@dataclass(frozen=True)
class Kind:
    """What Classify and Regress have in common.

    Attributes:
        api: the name under which it is counted.
        inputs: the name that the signature's one input must have.
        result: the field of its result in an ``InferenceResult``.
        check: whether a signature is fit for it, and the outputs to ask for.
        make_result: the outputs as a message.
    """

    api: str
    inputs: str
    result: str
    check: Callable[[Signature, Any, bool], list[str]]
    make_result: Callable[[Mapping[str, np.ndarray], int], Any]


CLASSIFY = Kind(
    "Classify",
    classification.INPUTS,
    "classification_result",
    classification.check_signature,
    classification.make_result,
)
REGRESS = Kind(
    "Regress",
    regression.INPUTS,
    "regression_result",
    regression.check_signature,
    regression.make_result,
)
_BY_METHOD = {CLASSIFY_METHOD: CLASSIFY, REGRESS_METHOD: REGRESS}


class Inference:
    """Answers such requests.

    Args:
        metrics: counts how long the session took, except for MultiInference, of which the examples are
            counted, as there.
        checks_method: whether the method names of signatures count
            (``--enable_signature_method_name_check``).
    """

    def __init__(self, metrics: Metrics, checks_method: bool) -> None:
        self._metrics = metrics
        self._not_counted = Metrics()
        self._checks_method = checks_method

    async def classify(self, servable: Servable, request: Any) -> Any:
        """A ClassificationResponse to a ClassificationRequest.

        Raises:
            StatusError: the signature cannot classify, or the request does not fit it.
        """
        return await self._answer(CLASSIFY, servable, request, ClassificationResponse())

    async def regress(self, servable: Servable, request: Any) -> Any:
        """A RegressionResponse to a RegressionRequest.

        Raises:
            StatusError: the signature cannot regress, or the request does not fit it.
        """
        return await self._answer(REGRESS, servable, request, RegressionResponse())

    async def infer(self, servable: Servable, request: Any) -> Any:
        """A MultiInferenceResponse: several signatures on the same examples.

        TF Serving runs all of them in one step of the session; here it is one after another.

        Raises:
            StatusError: a task is wrong; then none is answered. The words are those of
                ``multi_inference.cc``.
        """
        tasks = self._check_tasks(servable, request.tasks)
        examples = example_tensor(request.input)
        response = MultiInferenceResponse()
        answers = [
            await self._run(kind, servable, signature, wanted, examples, self._not_counted)
            for kind, signature, wanted in tasks
        ]
        self._metrics.count_examples(request.tasks[0].model_spec.name, len(examples))
        for task, (kind, signature, _), outputs in zip(request.tasks, tasks, answers, strict=True):
            result = response.results.add()
            getattr(result, kind.result).CopyFrom(kind.make_result(outputs, len(examples)))
            fill_model_spec(result.model_spec, task.model_spec.name, servable, signature)
        return response

    async def _answer(self, kind: Kind, servable: Servable, request: Any, response: Any) -> Any:
        name = request.model_spec.signature_name or DEFAULT_SIGNATURE
        signature = servable.signatures.get(name)
        if signature is None:
            raise invalid(f"No signature was found with the name: {name}")
        wanted = kind.check(signature, servable.definitions[name], self._checks_method)
        examples = example_tensor(request.input)
        outputs = await self._run(kind, servable, signature, wanted, examples, self._metrics)
        response.result.CopyFrom(kind.make_result(outputs, len(examples)))
        fill_model_spec(response.model_spec, request.model_spec.name, servable, signature)
        return response

    async def _run(
        self,
        kind: Kind,
        servable: Servable,
        signature: Signature,
        wanted: list[str],
        examples: np.ndarray,
        metrics: Metrics,
    ) -> dict[str, np.ndarray]:
        inputs = {kind.inputs: examples}
        return await predict(servable, signature, inputs, metrics, wanted, kind.api)

    def _check_tasks(
        self, servable: Servable, tasks: Any
    ) -> list[tuple[Kind, Signature, list[str]]]:
        found: dict[str, tuple[Kind, Signature, list[str]]] = {}
        for task in tasks:
            _check_model(task, tasks[0])
            name = task.model_spec.signature_name or DEFAULT_SIGNATURE
            if name in found:
                raise invalid(f"Duplicate evaluation of signature: {name}")
            signature = servable.signatures.get(name)
            if signature is None:
                raise invalid(f"Requested signature not found in model graph: {name}")
            kind = _BY_METHOD.get(task.method_name)
            if kind is None:
                raise StatusError(
                    StatusCode.UNIMPLEMENTED,
                    f"Unsupported signature method_name: {task.method_name}",
                )
            wanted = kind.check(signature, servable.definitions[name], self._checks_method)
            found[name] = kind, signature, wanted
        return list(found.values())


def fill_model_spec(spec: Any, name: str, servable: Servable, signature: Signature) -> None:
    """Say what answered: ``MakeModelSpec`` in TF Serving's ``util.cc``."""
    spec.name = name
    spec.version.value = servable.version
    spec.signature_name = signature.name


def _check_model(task: Any, first: Any) -> None:
    if not task.model_spec.name:
        raise invalid("Found ModelSpec with an empty model name.")
    if task.model_spec.name != first.model_spec.name:
        raise invalid("All ModelSpecs in a MultiInferenceRequest must access the same model name.")
