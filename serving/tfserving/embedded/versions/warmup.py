"""The requests that a version is sent before others: ``assets.extra/tf_serving_warmup_requests``.

As ``servables/tensorflow/saved_model_warmup_util.cc``: each record is a request that was logged, and
is answered as if it had come in; where one fails, the version cannot be loaded. A version without the
file is served as it is.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError
from grpc import StatusCode

from serving.tfserving.embedded.desk import Work, finish_now
from serving.tfserving.embedded.graph.saved_model import Servable
from serving.tfserving.embedded.graph.tensorflow_session import OpError, read_records
from serving.tfserving.embedded.status import StatusError, invalid
from serving.tfserving.messages import PredictionLog

log = logging.getLogger(__name__)

REQUESTS_FILE = Path("assets.extra", "tf_serving_warmup_requests")
MOST_RECORDS = 1000

Answer = Callable[[Servable, Any], Work[Any]]
"""Starts the work on a request of one kind."""


def warm_up(servable: Servable, folder: Path, iterations: int, kinds: Mapping[str, Answer]) -> None:
    """Answer the requests in a version's folder.

    Args:
        servable: the version.
        folder: its folder.
        iterations: how often each request is answered; 0 for once.
        kinds: how a request is answered, by the field of ``PredictionLog`` that holds it.

    Raises:
        StatusError: a record cannot be read, or its request cannot be answered.
    """
    path = folder / REQUESTS_FILE
    if not path.is_file():
        log.info("No warmup data file found at %s", path)
        return
    log.info("Starting to read warmup data for model at %s", path)
    started = time.perf_counter()
    try:
        count = _answer_records(servable, path, iterations or 1, kinds)
    except OpError as error:
        raise _unreadable(error) from error
    log.info(
        "Finished reading warmup data for model at %s. Number of warmup records read: %d. "
        "Elapsed time (microseconds): %d.",
        path,
        count,
        (time.perf_counter() - started) * 1e6,
    )


def _answer_records(
    servable: Servable, path: Path, iterations: int, kinds: Mapping[str, Answer]
) -> int:
    count = 0
    for record in read_records(path):
        logged = _parse(record, path)
        for _ in range(iterations):
            _answer_one(servable, logged, kinds)
        count += 1
        if count > MOST_RECORDS:
            raise invalid(
                f"Number of warmup records exceeds the maximum ({MOST_RECORDS}) at {path}"
            )
    return count


def _parse(record: bytes, path: Path) -> Any:
    logged = PredictionLog()
    try:
        logged.ParseFromString(record)
    except DecodeError as error:
        text = record.decode(errors="replace")
        raise invalid(f"Failed to parse warmup record: {text} from {path}") from error
    return logged


def _answer_one(servable: Servable, logged: Any, kinds: Mapping[str, Answer]) -> None:
    kind = logged.WhichOneof("log_type")
    if kind is None:
        return
    if kind not in kinds:
        number = PredictionLog.DESCRIPTOR.fields_by_name[kind].number
        raise StatusError(StatusCode.UNIMPLEMENTED, f"Unsupported log_type for warmup: {number}")
    finish_now(kinds[kind](servable, getattr(logged, kind).request))


def _unreadable(error: OpError) -> StatusError:
    lost = error.error_code == StatusCode.DATA_LOSS.value[0]
    hint = ". Please verify your warmup data is in TFRecord format." if lost else ""
    return StatusError.numbered(error.error_code, f"{error.message}{hint}")
