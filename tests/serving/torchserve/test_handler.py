"""The handler as TorchServe's worker calls it, in a process of its own."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load, save

from models.contract import Contract, TensorSpec
from serving.torchserve.repository import pack
from serving.wire.rows import decode_rows, encode_rows
from serving.wire.text import without_text

pytestmark = pytest.mark.frameworks
HOST = Path(__file__).with_name("handler_host.py")
Ask = Callable[..., Any]


def unpack(script: Path, contract: Contract, folder: Path) -> Path:
    mar = pack(script, contract, "model", "1", folder / "model.mar")
    with zipfile.ZipFile(mar) as archive:
        archive.extractall(folder / "unpacked")
    return folder / "unpacked"


def host(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(HOST), str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def asking(process: subprocess.Popen[str]) -> Ask:
    """Sends one batch; gives [(status, body)], or the error raised for the whole batch."""

    def ask(*batch: Mapping[str, bytes]) -> Any:
        coded = [
            {name: base64.b64encode(part).decode() for name, part in request.items()}
            for request in batch
        ]
        process.stdin.write(json.dumps(coded) + "\n")  # type: ignore[union-attr]
        process.stdin.flush()  # type: ignore[union-attr]
        answer = json.loads(process.stdout.readline())  # type: ignore[union-attr]
        if isinstance(answer, dict):
            return answer
        return [(status, base64.b64decode(body)) for status, body in answer]

    return ask


@pytest.fixture(scope="module")
def images(scripted, images_contract, tmp_path_factory) -> Iterator[Ask]:
    folder = unpack(
        scripted.folder / "images.pt", images_contract, tmp_path_factory.mktemp("images")
    )
    with host(folder) as process:
        yield asking(process)
        process.stdin.close()


@pytest.fixture(scope="module")
def mixed(scripted, mixed_contract, tmp_path_factory) -> Iterator[Ask]:
    folder = unpack(scripted.folder / "mixed.pt", mixed_contract, tmp_path_factory.mktemp("mixed"))
    with host(folder) as process:
        yield asking(process)
        process.stdin.close()


TEXTS = Contract(
    inputs=(
        TensorSpec("word", "string", (), missing=True),
        TensorSpec("size", "float32", (), missing=True),
    ),
    outputs=(TensorSpec("score", "float32", (2,)),),
    labels=("no", "yes"),
    scores="score",
    logits="score",
)


@pytest.fixture(scope="module")
def texts(scripted, tmp_path_factory) -> Iterator[Ask]:
    folder = unpack(scripted.folder / "texts.pt", TEXTS, tmp_path_factory.mktemp("texts"))
    with host(folder) as process:
        yield asking(process)
        process.stdin.close()


RAW = {"word": np.array(["UA", "", "Zürich ✈"]), "size": np.array([1, np.nan, 3], np.float32)}
SAID = [[2, 1], [0, -1], [11, 3]]


def test_words_and_gaps_arrive_the_same_in_rows_and_in_safetensors(texts):
    [(_, rows)] = texts({"body": encode_rows(RAW)})
    [(_, packed)] = texts({"safetensors": save(without_text(RAW))})
    assert decode_rows(rows, TEXTS)["score"].tolist() == SAID
    assert load(packed)["score"].tolist() == SAID


def test_null_is_a_gap(texts):
    rows = [{"word": None, "size": None}, {"word": "UA", "size": 1}]
    [(status, answer)] = texts({"body": json.dumps({"instances": rows}).encode()})
    assert status == 200
    assert json.loads(answer)["predictions"] == [[0, -1], [2, 1]]


def test_requests_with_words_of_different_widths_are_answered_together(texts):
    parts = [{name: rows[n : n + 1] for name, rows in RAW.items()} for n in range(3)]
    answers = texts(*({"safetensors": save(without_text(part))} for part in parts))
    assert [load(body)["score"].tolist()[0] for _, body in answers] == SAID


@pytest.mark.parametrize(
    ("word", "told"),
    [(3, "type string; got int"), (["UA"], "another shape"), (True, "got bool")],
)
def test_what_is_no_word_is_refused(texts, word, told):
    body = json.dumps({"instances": [{"word": word, "size": 1}]}).encode()
    answer = texts({"body": body})
    assert answer["status"] == 400
    assert told in answer["message"]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"word": np.zeros((3, 2), np.float32)}, "must be text"),
        ({"word": np.zeros(3, np.uint8)}, "must be text"),
        ({"word.length": np.array([2, 0, 99])}, "beyond its 11 bytes"),
        ({"word.length": np.array([2, -1, 1])}, "beyond its 11 bytes"),
        ({"word.length": np.array([2, 0])}, "lacks its lengths"),
        ({"word": np.full((3, 11), 0xFF, np.uint8)}, "not UTF-8"),
    ],
)
def test_safetensors_that_hold_no_text_are_refused(texts, changes, told):
    answer = texts({"safetensors": save({**without_text(RAW), **changes})})
    assert answer["status"] == 400
    assert told in answer["message"]


def test_rows_are_answered_in_rows(images, scripted, images_contract):
    [(status, body)] = images({"body": encode_rows(scripted.inputs)})
    assert status == 200
    outputs = decode_rows(body, images_contract)
    assert set(outputs) == {"logits", "probabilities"}
    for name, expected in scripted.outputs.items():
        np.testing.assert_array_equal(outputs[name], expected)


def test_bare_rows_need_no_name_where_there_is_one_input(images, scripted):
    bare = json.dumps({"instances": scripted.inputs["image"].tolist()}).encode()
    assert images({"body": bare}) == images({"data": encode_rows(scripted.inputs)})


@pytest.mark.parametrize("named", [True, False])
def test_columns_are_answered_in_columns(images, scripted, named):
    image = scripted.inputs["image"].tolist()
    body = json.dumps({"inputs": {"image": image} if named else image}).encode()
    [(status, answer)] = images({"body": body})
    assert status == 200
    columns = json.loads(answer)["outputs"]
    for name, expected in scripted.outputs.items():
        np.testing.assert_array_equal(np.array(columns[name], np.float32), expected)


def test_one_output_is_answered_in_bare_values(mixed):
    rows = [{"key": 1, "offset": [0.5, -0.5]}, {"key": 1, "offset": [0.0, 0.0]}]
    [(status, answer)] = mixed({"body": json.dumps({"instances": rows}).encode()})
    first, second = json.loads(answer)["predictions"]
    assert status == 200
    np.testing.assert_allclose(np.subtract(first, second), [0.5, -0.5], atol=1e-6)


def test_safetensors_are_answered_in_safetensors(images, scripted):
    [(status, body)] = images({"safetensors": save(scripted.inputs)})
    assert status == 200
    outputs = load(body)
    for name, expected in scripted.outputs.items():
        np.testing.assert_array_equal(outputs[name], expected)


def test_a_bad_request_alone_raises_400_for_both_protocols(images):
    answer = images({"body": b'{"instances": ['})
    assert answer["status"] == 400
    assert "not JSON" in answer["message"]


def test_a_bad_request_spoils_no_other_of_its_batch(images, scripted, images_contract):
    inputs = {"image": scripted.inputs["image"][:2]}
    one = {"image": scripted.inputs["image"][2:3]}
    answers = images(
        {"body": encode_rows(inputs)}, {"body": b"[]"}, {"safetensors": save(one)}, {"data": b"1"}
    )
    assert [status for status, _ in answers] == [200, 400, 200, 400]
    first = decode_rows(answers[0][1], images_contract)
    np.testing.assert_allclose(first["logits"], scripted.outputs["logits"][:2], atol=1e-6)
    third = load(answers[2][1])
    np.testing.assert_allclose(third["logits"], scripted.outputs["logits"][2:3], atol=1e-6)
    assert "JSON object" in json.loads(answers[1][1])["message"]


def test_a_request_that_the_model_cannot_answer_spoils_no_other(mixed):
    good = json.dumps({"instances": [{"key": 2, "offset": [0, 0]}]}).encode()
    beyond = json.dumps({"instances": [{"key": 99, "offset": [0, 0]}]}).encode()
    answers = mixed({"body": good}, {"body": beyond})
    assert [status for status, _ in answers] == [200, 500]
    assert "index out of range" in json.loads(answers[1][1])["message"]
    assert mixed({"body": beyond})["status"] == 500
    assert mixed({"body": good})[0][0] == 200


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"3", "JSON object"),
        (b"{}", "'instances'"),
        (b'{"instances": []}', "at least one row"),
        (b'{"instances": {"key": 1}}', "at least one row"),
        (b'{"instances": [1]}', "Row 0 must be an object"),
        (b'{"inputs": [1]}', "must be an object"),
        (b'{"instances": [{"key": 1}]}', "lacks the input(s) ['offset']"),
        (b'{"inputs": {"offset": [[1, 2]]}}', "lacks the input(s) ['key']"),
        (b'{"instances": [{"key": 1, "offset": [1, 2], "x": 1}]}', "unknown input(s) ['x']"),
        (b'{"instances": [{"key": "1", "offset": [1, 2]}]}', "got strings"),
        (b'{"instances": [{"key": true, "offset": [1, 2]}]}', "got booleans"),
        (b'{"instances": [{"key": null, "offset": [1, 2]}]}', "got null"),
        (b'{"instances": [{"key": 1e30, "offset": [1, 2]}]}', "int64 cannot hold"),
        (b'{"instances": [{"key": 0.5, "offset": [1, 2]}]}', "int64 cannot hold"),
        (b'{"instances": [{"key": 1, "offset": [1e300, 2]}]}', "float32 cannot hold"),
        (b'{"instances": [{"key": 1, "offset": [1, 2, 3]}]}', "shape (1, 3)"),
        (b'{"instances": [{"key": 1, "offset": 1}]}', "rank 1"),
        (b'{"instances": [{"key": [1], "offset": [1, 2]}]}', "rank 2"),
        (b'{"inputs": {"key": [1], "offset": [[1, 2], [3]]}}', "different lengths"),
        (b'{"inputs": {"key": [1, 2], "offset": [[1, 2]]}}', "different numbers of rows"),
    ],
)
def test_what_is_wrong_with_json_is_said(mixed, body, words):
    answer = mixed({"body": body})
    assert answer["status"] == 400
    assert words in answer["message"]


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({}, "got nothing"),
        ({"image": b""}, "got ['image']"),
        ({"safetensors": b"no"}, "not safetensors"),
        ({"safetensors": save({"key": np.zeros(1, np.int64)})}, "lacks the input(s) ['offset']"),
        (
            {"safetensors": save({"key": np.zeros(1), "offset": np.zeros((1, 2), np.float32)})},
            "must be int64; got float64",
        ),
        (
            {
                "safetensors": save(
                    {"key": np.zeros(2, np.int64), "offset": np.zeros((1, 2), np.float32)}
                )
            },
            "different numbers of rows",
        ),
        (
            {
                "safetensors": save(
                    {"key": np.zeros(0, np.int64), "offset": np.zeros((0, 2), np.float32)}
                )
            },
            "N of at least 1",
        ),
    ],
)
def test_what_is_wrong_with_safetensors_is_said(mixed, parts, words):
    answer = mixed(parts)
    assert answer["status"] == 400
    assert words in answer["message"]


def test_a_model_that_breaks_its_contract_does_not_start(scripted, mixed_contract, tmp_path):
    folder = unpack(scripted.folder / "images.pt", mixed_contract, tmp_path)
    done = subprocess.run(
        [sys.executable, str(HOST), str(folder)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "PredictionException" in done.stderr
