"""TorchServe's own batching, as a setting of its file. Not in the image, whose servers have it as it comes."""

from __future__ import annotations

import json
from pathlib import Path

from serving.batching import ServerBatching
from serving.torchserve.settings import RESPONSE_SECONDS


def batching_settings(
    archive: Path, model_name: str, workers: int, batching: ServerBatching
) -> dict[str, str]:
    """The setting ``models``, which tells one version of a model what the others need not have.

    https://github.com/pytorch/serve/blob/master/docs/batch_inference_with_ts.md

    Args:
        archive: ``<model name>-<version>.mar``; the setting is found by that version.
        model_name: the name it is served under.
        workers: Python processes for the model.
        batching: rows here are requests: TorchServe counts those.
    """
    version = archive.stem.rpartition("-")[2]
    told = {
        "defaultVersion": True,
        "marName": archive.name,
        "minWorkers": workers,
        "maxWorkers": workers,
        "batchSize": batching.rows,
        "maxBatchDelay": batching.delay_ms,
        "responseTimeout": RESPONSE_SECONDS,
    }
    return {"models": json.dumps({model_name: {version: told}})}
