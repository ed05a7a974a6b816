"""Verb ``prepare``: ``validate`` and then ``constants`` in one process, which imports TFX once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pipelines.tfx.inside.constants import constants
from pipelines.tfx.inside.validation import validate


def prepare(request: dict[str, Any], report: Callable[[Mapping[str, Any]], None]) -> dict[str, Any]:
    """Both verbs over the same spans; anomalies end it before anything is computed.

    ``validation.json`` is written into ``out``, the constants into ``out/constants``.
    """
    out = Path(request["out"])
    validation = validate(request, report)
    computed = constants({**request, "out": str(out / "constants")}, report)
    return {"validation": validation, "constants": computed}
