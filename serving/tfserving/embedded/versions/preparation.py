"""What happens to a version after it is loaded and before it is offered: batching, then warming up.

The order is that of ``saved_model_bundle_source_adapter.cc``: recorded requests go through batches.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from serving.tfserving.embedded.batching.batcher import Batcher, Scheduler
from serving.tfserving.embedded.graph.saved_model import Servable
from serving.tfserving.embedded.metrics import Metrics
from serving.tfserving.embedded.options.batching_parameters import parameters_for
from serving.tfserving.embedded.options.platforms import BundleSettings
from serving.tfserving.embedded.requests.inference import Inference
from serving.tfserving.embedded.requests.predict import answer_predict
from serving.tfserving.embedded.versions.warmup import Answer, warm_up

Prepare = Callable[[Servable, Path], Servable]


def make_preparation(settings: BundleSettings, metrics: Metrics, checks_method: bool) -> Prepare:
    """A function of a version and its folder, for all models: they share the threads for batches.

    Args:
        settings: of the models' platform.
        metrics: counts batches, and what recorded requests take.
        checks_method: whether the method names of signatures count.

    Raises:
        StatusError: the function raises it where the parameters for batches in a version's folder
            cannot be used, or its recorded requests cannot be answered; then the version is closed.
    """
    batch = _make_batching(settings, metrics)
    kinds = _kinds(metrics, checks_method)

    def prepare(servable: Servable, folder: Path) -> Servable:
        try:
            prepared = batch(servable, folder)
            if settings.warmup_iterations is not None:
                warm_up(prepared, folder, settings.warmup_iterations, kinds, metrics)
        except BaseException:
            servable.close()
            raise
        return prepared

    return prepare


def _make_batching(settings: BundleSettings, metrics: Metrics) -> Prepare:
    common = settings.batching
    if common is None:
        return lambda servable, _: servable
    scheduler = Scheduler(common.num_batch_threads, common.thread_pool_name)

    def batch(servable: Servable, folder: Path) -> Servable:
        parameters = parameters_for(folder, common, settings.batching_per_model)
        if parameters is None:
            return servable
        parameters.check_queue()
        batcher = Batcher(servable.run, parameters, scheduler, metrics.batching)
        return replace(servable, batcher=batcher)

    return batch


def _kinds(metrics: Metrics, checks_method: bool) -> Mapping[str, Answer]:
    """What answers a recorded request, by the field of ``PredictionLog`` that holds it."""
    inference = Inference(metrics, checks_method)
    return {
        "predict_log": partial(answer_predict, metrics=metrics),
        "classify_log": inference.classify,
        "regress_log": inference.regress,
        "multi_inference_log": inference.infer,
    }
