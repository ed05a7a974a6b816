"""Requests that are wrong on purpose: what is sent, and how an answer to it is judged."""

from __future__ import annotations

import json

import numpy as np
import pytest

from models.contract import Contract, TensorSpec
from models.errors import BadRequest, Unreachable
from pipelines.facts import Outcome
from pipelines.malformed import MALFORMATIONS, judge, malformations, send_malformed
from serving.endpoints import Endpoint

BY_TITLE = {each.title: each for each in MALFORMATIONS}
RANK = BY_TITLE["wrong rank"]


@pytest.mark.parametrize(
    ("status", "message", "recovered", "outcome"),
    [
        ("400", "input must have shape (N, 8, 8, 1)", True, Outcome.PASS),
        ("404", "the RANK is wrong", True, Outcome.PASS),
        ("INVALID_ARGUMENT", "bad dimension", True, Outcome.PASS),
        ("400", "Bad Request", True, Outcome.SHORTFALL),
        ("500", "wrong shape", True, Outcome.SHORTFALL),
        ("503", "prediction failed", True, Outcome.SHORTFALL),
        ("INTERNAL", "wrong shape", True, Outcome.SHORTFALL),
        ("200", "predictions of some shape", True, Outcome.FAIL),
        ("OK", "answered as if the request were right", True, Outcome.FAIL),
        ("400", "input must have shape (N, 8, 8, 1)", False, Outcome.FAIL),
        ("500", "dead", False, Outcome.FAIL),
    ],
)
def test_an_answer_is_judged_by_blame_by_name_and_by_what_comes_next(
    status, message, recovered, outcome
):
    assert judge(RANK, status, message, recovered) is outcome


def image_row(digits) -> dict[str, np.ndarray]:
    spec = digits.contract.inputs[0]
    return {"image": np.arange(64, dtype=np.float32).reshape(spec.batch(1))}


def test_each_body_is_wrong_in_its_own_way(digits):
    row = image_row(digits)
    bodies = {name: each.body(row, digits.contract) for name, each in BY_TITLE.items()}
    with pytest.raises(ValueError):
        json.loads(bodies.pop(MALFORMATIONS[0].title))
    instance = {name: json.loads(body)["instances"][0] for name, body in bodies.items()}
    assert np.shape(instance["wrong rank"]["image"]) == ()
    assert np.shape(instance["wrong length"]["image"]) == (9, 8, 1)
    assert np.shape(instance["strings for numbers"]["image"]) == (8, 8, 1)
    assert set(np.ravel(instance["strings for numbers"]["image"])) == {"three"}
    assert set(instance["missing input"]) == {"not_an_input"}
    assert np.array_equal(instance["unknown model"]["image"], row["image"][0])
    assert BY_TITLE["unknown model"].model == "no_such_model"


class Client:
    """A REST client to a server that answers all with one status."""

    def __init__(self, status: int, text: str, error: Exception | None = None) -> None:
        self.sent: list[tuple[bytes, str | None]] = []
        self._answer, self._error = (status, text), error

    def post_raw(self, body: bytes, model_name: str | None = None) -> tuple[int, str]:
        self.sent.append((body, model_name))
        if self._error:
            raise self._error
        return self._answer


def outcomes(client: Client, digits, tmp_path, recovered: bool = True):
    endpoint = Endpoint("tfserving", "A server", "REST", "127.0.0.1", {}, tmp_path)
    row = image_row(digits)
    return send_malformed(endpoint, client, digits.contract, row, lambda: recovered)  # type: ignore[arg-type]


def test_every_malformation_is_sent_and_told(digits, tmp_path):
    client = Client(400, "json shape type input model " + "x" * 900)
    facts = outcomes(client, digits, tmp_path)
    assert [each.request for each in facts] == list(BY_TITLE)
    assert len(client.sent) == 6
    assert {each.outcome for each in facts} == {Outcome.PASS}
    assert {len(each.message) for each in facts} == {300}
    assert client.sent[-1][1] == "no_such_model"


def test_a_server_that_takes_anything_fails_every_time(digits, tmp_path):
    facts = outcomes(Client(200, '{"predictions": []}'), digits, tmp_path)
    assert {each.outcome for each in facts} == {Outcome.FAIL}


def test_a_server_that_breaks_fails_every_time(digits, tmp_path):
    facts = outcomes(Client(400, "shape"), digits, tmp_path, recovered=False)
    assert {each.outcome for each in facts} == {Outcome.FAIL}


@pytest.mark.parametrize(
    ("error", "status"),
    [(Unreachable("no answer"), "Unreachable"), (BadRequest("no", "NOT_FOUND"), "NOT_FOUND")],
)
def test_an_error_is_told_by_its_status_or_its_name(digits, tmp_path, error, status):
    facts = outcomes(Client(0, "", error), digits, tmp_path)
    assert {each.status for each in facts} == {status}


TEXTS = Contract(
    inputs=(TensorSpec("word", "string", ()), TensorSpec("size", "float32", ())),
    outputs=(TensorSpec("scores", "float32", (2,)),),
    labels=("a", "b"),
    scores="scores",
    logits="scores",
)
ROW = {"word": np.array(["UA"]), "size": np.ones(1, np.float32)}


def test_a_row_of_bare_numbers_and_words_is_wrong_in_its_own_ways():
    bodies = {
        each.title: json.loads(each.body(ROW, TEXTS))["instances"][0]
        for each in malformations(TEXTS)[1:]
    }
    assert bodies["wrong rank"] == {"word": "UA", "size": [[1.0]]}
    assert bodies["wrong length"] == {"word": "UA", "size": [1.0, 1.0]}
    assert bodies["strings for numbers"] == {"word": "UA", "size": "three"}
    assert bodies["numbers for strings"] == {"word": 3.0, "size": 1.0}
    assert bodies["missing input"] == {"word": "UA", "not_an_input": 1.0}


def test_numbers_for_strings_are_sent_only_where_there_are_strings(digits):
    assert malformations(digits.contract) == MALFORMATIONS
    assert len(malformations(TEXTS)) == 7
