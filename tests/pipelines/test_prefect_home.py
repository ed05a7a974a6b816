"""Prefect's environment, set before Prefect is imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from pipelines.settings import PROJECT

LOGGING = """
import logging, sys
from pathlib import Path
from pipelines.prefect_home import prepare_prefect
from pipelines.settings import Settings
prepare_prefect(Settings(artifacts=Path(sys.argv[1]), state=Path(sys.argv[1])), verbose=False)
from prefect import flow  # as our flows do; Prefect sets its loggers up
log = logging.getLogger("twinserve")
assert log.handlers, "Prefect takes no lines of ours"
log.error("a thread that watches a server has something to say")
"""


def test_what_is_said_outside_a_run_is_no_mistake(tmp_path: Path) -> None:
    """Else every line of a thread that watches a server costs a warning, and an error under ``-W error``."""
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-c", LOGGING, str(tmp_path)],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "flow run id" not in done.stderr
