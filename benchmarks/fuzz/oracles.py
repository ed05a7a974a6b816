"""Which answers TF Serving might give, too; everything else is a finding."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum

from google.protobuf.message import DecodeError

from benchmarks.fuzz.inputs.input import Input
from benchmarks.fuzz.lanes import http
from benchmarks.fuzz.lanes.answer import Answer, Came
from benchmarks.fuzz.lanes.rpc import METHODS
from serving.tfserving.messages import (
    ClassificationRequest,
    GetModelMetadataRequest,
    GetModelStatusRequest,
    MultiInferenceRequest,
    PredictRequest,
    RegressionRequest,
)


class Oracle(Enum):
    """What was not as it should be."""

    DIED = "died"
    HANG = "hang"
    CLOSED = "closed"
    STATUS = "status"
    BODY = "body"
    CODE = "code"
    PARSER = "parser"
    GOOD = "good"
    MEMORY = "memory"
    FILES = "files"
    LOG = "log"


@dataclass(frozen=True)
class Problem:
    """One answer that should not be.

    Attributes:
        oracle: which rule it breaks.
        words: what was seen.
    """

    oracle: Oracle
    words: str


STATUSES = {"200", "400", "404", "413", "501"}
"""Of ``ToHTTPStatusCode`` in TF Serving's ``http_server.cc``, those that a single client's request can lead
to: nothing is too much, too slow, stopped or forbidden here. 413 and 501 are libevent's as well."""

CODES = {
    "OK",
    "INVALID_ARGUMENT",
    "NOT_FOUND",
    "FAILED_PRECONDITION",
    "UNIMPLEMENTED",
    "OUT_OF_RANGE",
}
"""Likewise over gRPC. INTERNAL is what gRPC's C++ server says of a message that it cannot read."""

NOWHERE = {"NoMethod", "NoService"}
"""Kinds of input for methods that there are not."""

_MESSAGES = {
    "Predict": PredictRequest,
    "Classify": ClassificationRequest,
    "Regress": RegressionRequest,
    "MultiInference": MultiInferenceRequest,
    "GetModelMetadata": GetModelMetadataRequest,
    "GetModelStatus": GetModelStatusRequest,
}


def judge(sent: Input, answer: Answer) -> Problem | None:
    """What is wrong with an answer; None where nothing is.

    Args:
        sent: what was asked.
        answer: what came back.
    """
    if answer.came is Came.NOTHING:
        is_fine = sent.kind in (http.CUT, http.LOOSE)
        return None if is_fine else Problem(Oracle.HANG, "no answer within the deadline")
    if answer.came is not Came.ANSWER:
        words = answer.content.decode(errors="replace") or answer.came.value
        return Problem(Oracle.CLOSED, f"no answer: {words}")
    if sent.kind in http.KINDS:
        return _judge_http(sent, answer)
    if sent.kind in METHODS:
        return _judge_rpc(sent, answer)
    words = answer.content.decode(errors="replace")
    return None if answer.status == "fine" else Problem(Oracle.PARSER, words)


def _judge_http(sent: Input, answer: Answer) -> Problem | None:
    if answer.status not in STATUSES:
        seen = answer.content[:300].decode(errors="replace")
        return Problem(Oracle.STATUS, f"HTTP {answer.status}: {seen}")
    if sent.kind == http.HEAD:
        return None
    wrong = _wrong_body(answer, sent.kind == http.API)
    return Problem(Oracle.BODY, f"HTTP {answer.status}, {answer.form}: {wrong}") if wrong else None


def _wrong_body(answer: Answer, must_be_json: bool) -> str:
    """What is wrong with a body; empty where nothing is."""
    form, seen = answer.form.partition(";")[0], answer.content[:200]
    if form == "application/json" and (answer.content or must_be_json):
        return _wrong_json(answer)
    if must_be_json:
        return f"no JSON: {seen!r}"
    if answer.content in (b"", b"Invalid HTTP request received."):
        # Of libevent and TF Serving: a preflight's answer, a version of too many digits. The words are
        # uvicorn's for what is no HTTP, where libevent closes or sends a page.
        return ""
    if form == "text/html" and answer.content.startswith(b"<HTML>"):
        return ""
    is_metrics = b":tensorflow:" in answer.content or answer.content.startswith(
        b"Unexpected path: "
    )
    return "" if form == "text/plain" and is_metrics else f"an unknown page: {seen!r}"


def _wrong_json(answer: Answer) -> str:
    try:
        found = json.loads(answer.content.decode(errors="surrogateescape"))
    except ValueError as error:
        return f"no JSON: {error}: {answer.content[:200]!r}"
    is_error = (
        isinstance(found, dict) and found.keys() == {"error"} and isinstance(found["error"], str)
    )
    if answer.status == "200":
        return "" if isinstance(found, dict) and "error" not in found else f"no result: {found!r}"
    if not is_error or not found["error"]:
        return f"not an object with an error: {answer.content[:200]!r}"
    return ""


def _judge_rpc(sent: Input, answer: Answer) -> Problem | None:
    words = answer.content[:300].decode(errors="replace")
    if answer.status in CODES:
        if answer.status == "OK" or answer.content:
            return None
        if answer.status == "UNIMPLEMENTED" and sent.kind in NOWHERE:
            return None  # nor does gRPC's C++ server say more
        return Problem(Oracle.CODE, f"{answer.status} without a word")
    if answer.status == "INTERNAL" and not answer.content and not _is_readable(sent):
        return None
    return Problem(Oracle.CODE, f"{answer.status}: {words}")


def _is_readable(sent: Input) -> bool:
    message = _MESSAGES.get(sent.kind)
    try:
        if message is not None:
            message.FromString(sent.content)
    except DecodeError:
        return False
    return message is not None  # the health service's messages are read by gRPC's own code
