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
from serving.tfserving.embedded.metrics import Metrics
from serving.tfserving.embedded.status import StatusError, invalid
from serving.tfserving.messages import PredictionLog

log = logging.getLogger(__name__)

REQUESTS_FILE = Path("assets.extra", "tf_serving_warmup_requests")
MOST_RECORDS = 1000

Answer = Callable[[Servable, Any], Work[Any]]
"""Starts the work on a request of one kind."""


def warm_up(
    servable: Servable,
    folder: Path,
    iterations: int,
    kinds: Mapping[str, Answer],
    metrics: Metrics,
) -> None:
    """Answer the requests in a version's folder.

    Args:
        servable: the version.
        folder: its folder.
        iterations: how often each request is answered.
        kinds: how a request is answered, by the field of ``PredictionLog`` that holds it.
        metrics: counts records and the time they took, if the file could be read or broke off; not
            where a request failed, as there.

    Raises:
        StatusError: a record cannot be read, or its request cannot be answered.
    """
    path = folder / REQUESTS_FILE
    if not path.is_file():
        log.info("No warmup data file found at %s", path)
        return
    log.info("Starting to read warmup data for model at %s", path)
    started = time.perf_counter()
    count, broken = 0, None
    try:
        for count, record in enumerate(read_records(path), 1):
            _answer_record(servable, _parse(record, path), iterations, kinds)
            _check_count(count, path)
    except OpError as error:
        broken = error
    seconds = time.perf_counter() - started
    labels = str(folder), "OK" if broken is None else str(_as_status(broken))
    metrics.warmup_latency.add(labels, seconds)
    metrics.warmup_records.add(labels, count)
    if broken is not None:
        raise _unreadable(broken)
    log.info(
        "Finished reading warmup data for model at %s. Number of warmup records read: %d. "
        "Elapsed time (microseconds): %d.",
        path,
        count,
        seconds * 1e6,
    )


def _check_count(count: int, path: Path) -> None:
    if count > MOST_RECORDS:
        raise invalid(f"Number of warmup records exceeds the maximum ({MOST_RECORDS}) at {path}")


def _parse(record: bytes, path: Path) -> Any:
    logged = PredictionLog()
    try:
        logged.ParseFromString(record)
    except DecodeError as error:
        text = record.decode(errors="replace")
        raise invalid(f"Failed to parse warmup record: {text} from {path}") from error
    return logged


def _answer_record(
    servable: Servable, logged: Any, iterations: int, kinds: Mapping[str, Answer]
) -> None:
    kind = logged.WhichOneof("log_type")
    if kind is None or not iterations:
        return
    if kind not in kinds:
        number = PredictionLog.DESCRIPTOR.fields_by_name[kind].number
        raise StatusError(StatusCode.UNIMPLEMENTED, f"Unsupported log_type for warmup: {number}")
    for _ in range(iterations):
        finish_now(kinds[kind](servable, getattr(logged, kind).request))


def _as_status(error: OpError) -> StatusError:
    return StatusError.numbered(error.error_code, error.message)


def _unreadable(error: OpError) -> StatusError:
    status = _as_status(error)
    if status.code is StatusCode.DATA_LOSS:
        status.message += ". Please verify your warmup data is in TFRecord format."
    return status
