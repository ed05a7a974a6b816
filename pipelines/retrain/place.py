"""Where a replay keeps everything: a home of its own. Prefect is not imported here: it is asked before that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from models.errors import CaseError, SettingsError
from pipelines.settings import Settings
from pipelines.workspace import Workspace

FOLDER = "retrain"


def open_space(
    case: str, settings: Settings, training: Mapping[str, Any] | None = None, fresh: bool = False
) -> Workspace:
    """The case in the replay's own home, so that it meets no version of other runs.

    Raises:
        CaseError: there is no such case, or it has no spans.
        SettingsError: TFX is off, and without it nothing is blessed.
    """
    home = settings.artifacts / case / FOLDER
    space = Workspace.open(case, settings.model_copy(update={"artifacts": home}), training, fresh)
    if not space.case.span:
        raise CaseError(
            f"The case {case!r} has no spans, so there is nothing that could arrive.",
            "Give its Case a `span` and a schema.pbtxt; `flights` has both.",
        )
    if not space.uses_tfx:
        raise SettingsError(
            "Retraining needs TFX, which validates, evaluates and blesses, and it is off.",
            "Unset TWINSERVE_TFX and TWINSERVE_CONSTANTS.",
        )
    return space
