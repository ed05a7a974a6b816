"""What a command costs before it does anything."""

from __future__ import annotations

import subprocess
import sys

from pipelines.settings import PROJECT

HEAVY = {"altair", "docker", "grpc", "pandas", "prefect", "scipy", "sklearn", "tensorflow", "torch"}


def test_a_command_starts_without_what_only_others_need() -> None:
    program = f"import sys, pipelines.__main__; print({HEAVY!r} & set(sys.modules) or 'none')"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "none"
