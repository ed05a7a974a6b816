"""A verb of TFX over the state of a case."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from pipelines.tfx.worker import call
from pipelines.workspace import Workspace, log


def call_tfx(space: Workspace, verb: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """Run a verb of TFX over the case's own state, with the settings' Beam runner.

    Raises:
        EnvironmentMissing, WorkerError: as ``validate_data``; and what the verb raises.
    """
    settings = space.settings
    beam = {
        "beam_runner": settings.beam_runner,
        "beam_options": shlex.split(settings.beam_options),
    }
    return call(
        verb,
        {"state": str(space.home / "tfx"), **beam, **request},
        timeout_seconds=settings.worker_timeout_seconds,
        on_progress=lambda progress: log.info(f"TFX: {progress.get('message', progress)}"),
    )
