"""Requests that are wrong on purpose, and what a server should say to each."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from models.contract import Contract, Tensors
from models.errors import RequestError
from pipelines.facts import MalformedFacts, Outcome
from serving.endpoints import Client, Endpoint
from serving.torchserve.client import GrpcClient as TorchServeGrpc
from serving.wire.rows import encode_rows

UNKNOWN_MODEL = "no_such_model"
MESSAGE_LENGTH = 300


@dataclass(frozen=True)
class Malformation:
    """One way to be wrong.

    Attributes:
        title: for people.
        names: a pattern that a message naming the problem matches, case ignored.
        body: the JSON text for REST, from a good row and the contract.
        tensors: the tensors for gRPC; None for tensors whose bytes are cut off.
    """

    title: str
    names: str
    body: Callable[[Tensors, Contract], bytes]
    tensors: Callable[[Tensors, Contract], Tensors] | None
    model: str | None = None


def _first(contract: Contract) -> str:
    """The first input that holds numbers."""
    return next(spec.name for spec in contract.inputs if not spec.is_text)


def _changed(inputs: Tensors, contract: Contract, array: np.ndarray) -> Tensors:
    return {**inputs, _first(contract): array}


def _wrong_rank(inputs: Tensors, contract: Contract) -> Tensors:
    """Without its axes; a bare number, which has none to lose, gets two."""
    good = inputs[_first(contract)]
    if good.ndim == 1:
        return _changed(inputs, contract, good[:, np.newaxis, np.newaxis])
    return _changed(inputs, contract, inputs[_first(contract)].reshape(len(_any(inputs)), -1)[:, 0])


def _one_too_long(inputs: Tensors, contract: Contract) -> Tensors:
    good = inputs[_first(contract)]
    good = good[:, np.newaxis] if good.ndim == 1 else good
    return _changed(inputs, contract, np.concatenate([good, good[:, :1]], axis=1))


def _words(inputs: Tensors, contract: Contract) -> Tensors:
    good = inputs[_first(contract)]
    return _changed(inputs, contract, np.full(good.shape, "three", dtype=object))


def _numbers(inputs: Tensors, contract: Contract) -> Tensors:
    name = next(spec.name for spec in contract.inputs if spec.is_text)
    return {**inputs, name: np.full(inputs[name].shape, 3, np.float32)}


def _misnamed(inputs: Tensors, contract: Contract) -> Tensors:
    good = dict(inputs)
    return {"not_an_input": good.pop(_first(contract)), **good}


def _any(inputs: Tensors) -> np.ndarray:
    return next(iter(inputs.values()))


def _json_of(make: Callable[[Tensors, Contract], Tensors]) -> Callable[[Tensors, Contract], bytes]:
    def body(inputs: Tensors, contract: Contract) -> bytes:
        made = make(inputs, contract)
        rows = [
            {name: array.tolist()[row] for name, array in made.items()}
            for row in range(len(_any(made)))
        ]
        return json.dumps({"instances": rows}).encode()

    return body


def _same(inputs: Tensors, contract: Contract) -> Tensors:
    return inputs


MALFORMATIONS = (
    Malformation(
        "broken JSON (gRPC: cut-off tensor)",
        r"json|pars|bytes|content",
        lambda inputs, contract: encode_rows(inputs)[:-3],
        None,
    ),
    Malformation("wrong rank", r"shape|rank|dim|size", _json_of(_wrong_rank), _wrong_rank),
    Malformation("wrong length", r"shape|length|dim|size", _json_of(_one_too_long), _one_too_long),
    Malformation(
        "strings for numbers", r"type|string|number|float|convert", _json_of(_words), _words
    ),
    Malformation(
        "missing input", r"input|not_an_input|missing|key", _json_of(_misnamed), _misnamed
    ),
    Malformation(
        "unknown model",
        rf"{UNKNOWN_MODEL}|model|servable",
        lambda inputs, contract: encode_rows(inputs),
        _same,
        model=UNKNOWN_MODEL,
    ),
)


NUMBERS_FOR_STRINGS = Malformation(
    "numbers for strings", r"type|string|convert|float", _json_of(_numbers), _numbers
)


def malformations(contract: Contract) -> tuple[Malformation, ...]:
    """What can be wrong with a request for such a model."""
    has_text = any(spec.is_text for spec in contract.inputs)
    return (*MALFORMATIONS, NUMBERS_FOR_STRINGS) if has_text else MALFORMATIONS


def send_malformed(
    endpoint: Endpoint,
    client: Client,
    contract: Contract,
    inputs: Tensors,
    is_answered: Callable[[], bool],
) -> list[MalformedFacts]:
    """Send every malformed request to one endpoint, and a good one after each.

    Args:
        endpoint: for the report.
        client: connected to it.
        contract: of the model.
        inputs: one good row.
        is_answered: sends a good request and says whether it was answered correctly.
    """
    found = []
    for malformation in malformations(contract):
        status, message = _send(client, malformation, contract, inputs)
        recovered = is_answered()
        found.append(
            MalformedFacts(
                server=endpoint.label,
                protocol=endpoint.protocol,
                request=malformation.title,
                status=status,
                message=message[:MESSAGE_LENGTH],
                outcome=judge(malformation, status, message, recovered),
                recovered=recovered,
            )
        )
    return found


def judge(malformation: Malformation, status: str, message: str, recovered: bool) -> Outcome:
    """A client error that names the problem passes; a server that accepts nonsense or breaks fails."""
    if not recovered or status in ("200", "OK"):
        return Outcome.FAIL
    names_it = re.search(malformation.names, message, re.IGNORECASE) is not None
    return Outcome.PASS if names_it and _blames_request(status) else Outcome.SHORTFALL


def _blames_request(status: str) -> bool:
    return status in BAD_REQUEST_STATUSES or (status.isdigit() and 400 <= int(status) < 500)


BAD_REQUEST_STATUSES = ("INVALID_ARGUMENT", "NOT_FOUND", "FAILED_PRECONDITION", "OUT_OF_RANGE")


def _send(
    client: Client, malformation: Malformation, contract: Contract, inputs: Tensors
) -> tuple[str, str]:
    """Status and message, whichever protocol."""
    try:
        if hasattr(client, "post_raw"):
            status, text = client.post_raw(malformation.body(inputs, contract), malformation.model)
            return str(status), text
        if isinstance(client, TorchServeGrpc):
            # Safetensors cannot carry broken JSON or strings; the JSON that our handler takes as well can.
            client.send_raw({"data": malformation.body(inputs, contract)}, malformation.model)
        elif malformation.tensors is None:
            client.send_truncated(inputs)
        else:
            client.predict_raw(malformation.tensors(inputs, contract), malformation.model)
    except RequestError as error:
        return error.status or type(error).__name__, error.message
    return "OK", "answered as if the request were right"
