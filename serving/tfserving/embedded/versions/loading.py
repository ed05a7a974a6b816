"""Loads a version's folder with the flags' options, and counts that."""

from __future__ import annotations

import logging
import time
from pathlib import Path

from grpc import StatusCode

from serving.tfserving.embedded.graph.saved_model import Servable, load_servable
from serving.tfserving.embedded.graph.tensorflow_session import SessionOptions
from serving.tfserving.embedded.metrics import Metrics
from serving.tfserving.embedded.options.flags import Flags
from serving.tfserving.embedded.status import StatusError
from serving.tfserving.embedded.versions.manager import Load
from serving.tfserving.embedded.versions.preparation import make_preparation

log = logging.getLogger(__name__)


def counting_loader(flags: Flags, metrics: Metrics) -> Load:
    """A function of a model's name and a version's number and folder; counts as ``cc/saved_model/loader.cc`` does.

    Whatever is wrong with a version, the function raises a StatusError: another one may be served.
    """
    tags = frozenset(flags.saved_model_tags.split(","))
    prepare = make_preparation(flags)
    options = SessionOptions(flags.intra_op_threads, flags.inter_op_threads)

    def load(name: str, version: int, folder: Path) -> Servable:
        started = time.perf_counter()
        status = "fail"
        try:
            loaded = load_servable(name, version, folder, tags, options)
            servable = prepare(loaded, folder)
            status = "success"
            return servable
        except StatusError:
            raise
        except Exception as error:
            log.exception("Loading %s failed in a way that is not known", folder)
            message = f"{folder}: {type(error).__name__}: {error}"
            raise StatusError(StatusCode.INTERNAL, message) from error
        finally:
            took = int((time.perf_counter() - started) * 1e6)
            metrics.load_attempt_count.add((str(folder), status))
            metrics.load_latency.add((str(folder),), took)

    return load
