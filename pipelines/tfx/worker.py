"""TFX's own process: ``python -m pipelines.tfx.worker <verb> request.json``, run by the Python of ``.venv-tfx``.

It speaks as ``models.worker`` does: progress lines, then a result or an error, and it ends with its parent. One
process does one verb, which runs a whole TFX pipeline, so that TFX is imported once a stage. ``docs/tfx.md`` has
every request and result.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from models.worker import Program, ProgressListener, answer, call_process
from pipelines.tfx.environment import PROJECT, tfx_python

VERBS = {
    "validate": "validation",
    "constants": "constants",
    "prepare": "preparation",
    "evaluate": "evaluation",
    "monitor": "monitoring",
    "infra": "infra",
    "infra_validator": "infra_validator",
    "push": "lineage",
    "take_back": "lineage",
    "lineage": "lineage",
}
"""By verb: the module of ``pipelines.tfx.inside`` whose function of that name does it."""


def call(
    verb: str,
    request: Mapping[str, Any],
    *,
    timeout_seconds: float,
    on_progress: ProgressListener | None = None,
) -> dict[str, Any]:
    """Run one verb in TFX's environment, which is made first where it is missing.

    Args:
        verb: one of ``VERBS``.
        request: its request; must be JSON.
        timeout_seconds: for the verb; then the process is killed.
        on_progress: told every progress object; ``{"message": ...}`` is for people.

    Returns:
        the verb's result.

    Raises:
        EnvironmentMissing: TFX cannot be installed.
        WorkerError: the process crashed, was killed, or took too long.
        TwinServeError: whatever the verb raised, by its own class.
    """
    tell = on_progress or (lambda _: None)
    python = tfx_python(lambda message: tell({"message": message}))
    program = Program(
        f"TFX's process for {verb!r}",
        (str(python), "-m", "pipelines.tfx.worker", verb),
        {"PYTHONPATH": str(PROJECT)},
    )
    return call_process(program, request, timeout_seconds=timeout_seconds, on_progress=on_progress)


def main() -> int:
    """Do one verb; see the module's docstring."""
    parser = argparse.ArgumentParser(prog="python -m pipelines.tfx.worker", description=__doc__)
    parser.add_argument("verb", choices=tuple(VERBS))
    parser.add_argument("request", type=Path, help="a JSON file")
    arguments = parser.parse_args()
    return answer(arguments.request, partial(_run, arguments.verb))


def _run(verb: str, request: dict[str, Any], report: ProgressListener) -> dict[str, Any]:
    module = import_module(f"pipelines.tfx.inside.{VERBS[verb]}")
    result: dict[str, Any] = getattr(module, verb)(request, report)
    return result


if __name__ == "__main__":
    sys.exit(main())
