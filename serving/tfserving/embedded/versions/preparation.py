"""What happens to a version after it is loaded and before it is offered: batching, then warming up.

The order is that of ``saved_model_bundle_source_adapter.cc``: recorded requests go through batches.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from serving.tfserving.embedded.batching.batcher import Batcher, Scheduler
from serving.tfserving.embedded.graph.saved_model import Servable
from serving.tfserving.embedded.metrics import Metrics
from serving.tfserving.embedded.options.batching_parameters import (
    parameters_for,
    read_batching_parameters,
)
from serving.tfserving.embedded.options.flags import Flags
from serving.tfserving.embedded.requests.inference import Inference
from serving.tfserving.embedded.requests.predict import answer_predict
from serving.tfserving.embedded.versions.warmup import Answer, warm_up

Prepare = Callable[[Servable, Path], Servable]


def make_preparation(flags: Flags) -> Prepare:
    """A function of a version and its folder, for all models: they share the threads for batches.

    Raises:
        StatusError: the parameters for batches cannot be used. The function raises it where those in
            a version's folder cannot be used, or its recorded requests cannot be answered; then the
            version is closed.
    """
    batch = _make_batching(flags)
    kinds = _kinds(flags)

    def prepare(servable: Servable, folder: Path) -> Servable:
        try:
            prepared = batch(servable, folder)
            if flags.enable_model_warmup:
                warm_up(prepared, folder, flags.num_request_iterations_for_warmup, kinds)
        except BaseException:
            servable.close()
            raise
        return prepared

    return prepare


def _make_batching(flags: Flags) -> Prepare:
    if not flags.enable_batching:
        return lambda servable, _: servable
    common = read_batching_parameters(flags.batching_parameters_file)
    common.check_threads()
    scheduler = Scheduler(common.num_batch_threads, common.thread_pool_name)

    def batch(servable: Servable, folder: Path) -> Servable:
        parameters = parameters_for(folder, common, flags.enable_per_model_batching_parameters)
        if parameters is None:
            return servable
        parameters.check_queue()
        return replace(servable, batcher=Batcher(servable.run, parameters, scheduler))

    return batch


def _kinds(flags: Flags) -> Mapping[str, Answer]:
    """What answers a recorded request, by the field of ``PredictionLog`` that holds it."""
    inference = Inference(Metrics(), flags.enable_signature_method_name_check)
    return {
        "predict_log": answer_predict,
        "classify_log": inference.classify,
        "regress_log": inference.regress,
        "multi_inference_log": inference.infer,
    }
