"""Loads a version's folder as its model's platform says, and counts that."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from pathlib import Path

from grpc import StatusCode

from serving.tfserving.embedded.graph.saved_model import Servable, load_servable
from serving.tfserving.embedded.graph.tensorflow_session import ConfigProto, SessionOptions
from serving.tfserving.embedded.graph.tflite_model import FILE, load_tflite
from serving.tfserving.embedded.metrics import Metrics
from serving.tfserving.embedded.options.flags import Flags
from serving.tfserving.embedded.options.platforms import BundleSettings, Platforms
from serving.tfserving.embedded.status import StatusError
from serving.tfserving.embedded.versions.manager import Load
from serving.tfserving.embedded.versions.preparation import Prepare, make_preparation

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Platform:
    tags: frozenset[str]
    options: SessionOptions
    prepare: Prepare
    tflite_pool: int | None

    def load(self, name: str, version: int, folder: Path) -> Servable:
        if self.tflite_pool is not None and (folder / FILE).is_file():
            threads = self.options.intra_op_threads
            loaded = load_tflite(name, version, folder, self.tflite_pool, threads)
        else:
            loaded = load_servable(name, version, folder, self.tags, self.options)
        return self.prepare(loaded, folder)


def counting_loader(flags: Flags, platforms: Platforms, metrics: Metrics) -> Load:
    """A function of a model's name and a version's number and folder; counts as ``cc/saved_model/loader.cc`` does.

    Whatever is wrong with a version, the function raises a StatusError: another one may be served.
    """
    checks_method = flags.enable_signature_method_name_check
    made = {
        name: _make_platform(settings, metrics, checks_method)
        for name, settings in platforms.settings.items()
    }

    def load(name: str, version: int, folder: Path) -> Servable:
        started = time.perf_counter()
        status = "fail"
        try:
            servable = made[platforms.routes[name]].load(name, version, folder)
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


def _make_platform(settings: BundleSettings, metrics: Metrics, checks_method: bool) -> _Platform:
    config = ConfigProto.FromString(settings.session_config)
    options = SessionOptions(
        config.intra_op_parallelism_threads,
        config.inter_op_parallelism_threads,
        settings.session_config,
    )
    prepare = make_preparation(settings, metrics, checks_method)
    return _Platform(settings.tags, options, prepare, settings.tflite_pool)
