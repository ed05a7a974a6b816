"""Looks into the exported files with nothing but the libraries that people open them with."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.dataset import Dataset

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def look_into(
    trained: Any, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], dict[str, Any]]:
    """``look_into("saved_model")``: what ``look_into_saved_model.py`` prints about version 1."""
    seen: dict[str, dict[str, Any]] = {}
    test = Dataset.read_split(Path(trained.data.path), "test")
    rows = tmp_path_factory.mktemp("rows") / "test.npz"
    np.savez(rows, images=test.inputs["image"], labels=test.labels)

    def look(kind: str) -> dict[str, Any]:
        if kind not in seen:
            done = subprocess.run(
                [
                    sys.executable,
                    "-W",
                    "ignore",
                    str(HERE / f"look_into_{kind}.py"),
                    str(trained.version),
                    str(rows),
                ],
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stderr[-3000:]
            seen[kind] = json.loads(done.stdout.splitlines()[-1])
        return seen[kind]

    return look
