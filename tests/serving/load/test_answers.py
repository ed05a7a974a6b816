"""The check of benchmark answers: wrong ones are never taken for right, right ones are read once."""

from __future__ import annotations

import json

import numpy as np
import pytest

from models.contract import Contract, TensorSpec
from models.errors import ServerFault
from models.parity import Tolerance
from serving.load.answers import AnswerCheck

CONTRACT = Contract(
    inputs=(TensorSpec("x", "float32", ()),),
    outputs=(TensorSpec("scores", "float32", (2,)),),
    labels=("a", "b"),
    scores="scores",
    logits="scores",
)
EXPECTED = {"scores": np.array([[0.2, 0.8], [0.9, 0.1], [0.2, 0.8]], np.float32)}


class Reader:
    """Reads JSON lists, and counts how often."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, body: bytes) -> dict[str, np.ndarray]:
        self.calls += 1
        try:
            return {k: np.array([v], np.float32) for k, v in json.loads(body).items()}
        except ValueError as error:
            raise ServerFault("not JSON") from error


@pytest.fixture
def reader() -> Reader:
    return Reader()


@pytest.fixture
def check(reader: Reader) -> AnswerCheck:
    return AnswerCheck(CONTRACT, EXPECTED, Tolerance(atol=1e-4), reader)


def body(*scores: float, name: str = "scores") -> bytes:
    return json.dumps({name: scores}).encode()


def test_a_right_answer_is_read_once(check: AnswerCheck, reader: Reader):
    assert [check.is_right(0, body(0.2, 0.8)) for _ in range(3)] == [True] * 3
    assert reader.calls == 1


def test_answers_within_the_tolerance_are_right(check: AnswerCheck):
    assert check.is_right(0, body(0.20005, 0.79995))
    assert not check.is_right(0, body(0.201, 0.799))


@pytest.mark.parametrize(
    "answer",
    [
        body(0.8, 0.2),
        body(0.2, 0.8, 0.0),
        body(0.2, 0.8, name="logits"),
        body(float("nan"), 0.8),
        b"<html>busy</html>",
        b"",
    ],
)
def test_a_wrong_answer_is_wrong_every_time(check: AnswerCheck, answer):
    assert [check.is_right(0, answer) for _ in range(3)] == [False] * 3


def test_what_is_right_for_one_row_is_not_known_for_another(check: AnswerCheck, reader: Reader):
    assert check.is_right(0, body(0.2, 0.8))
    assert not check.is_right(1, body(0.2, 0.8))
    assert check.is_right(2, body(0.2, 0.8))
    assert reader.calls == 3
