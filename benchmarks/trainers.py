"""Both ways of training once: through the pipeline's own worker and verbs, and bare."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.runs import Home
from models import worker
from models.errors import WorkerError
from models.framework import FRAMEWORKS
from pipelines.data import prepare_data
from pipelines.settings import PROJECT, Settings
from pipelines.train import initialise
from pipelines.workspace import Workspace
from serving.process import tail_of

TIMEOUT_SECONDS = 600.0
Told = Callable[[float], None]


class Trainers:
    """Prepares data and initial weights once, as the pipeline does; then trains as often as asked.

    Args:
        case: its name.
        home: where everything goes.
    """

    def __init__(self, case: str, home: Home) -> None:
        settings = Settings(artifacts=home.artifacts, state=home.state)
        self._space = Workspace.open(case, settings)
        self._scratch = home.path
        self._runs = 0
        self._bare: set[subprocess.Popen[str]] = set()
        data = prepare_data(self._space)
        self._dataset = data.path
        self._initial: dict[str, str] = {
            name: initialise(self._space, name, data).path for name in FRAMEWORKS
        }
        self.rows = data.rows["train"]
        self.threads = settings.threads

    def through_pipeline(self, framework: str, epochs: int, told: Told) -> None:
        """``models.worker`` with the verb ``train``: what the flow's stage calls."""

        def on_progress(progress: Mapping[str, Any]) -> None:
            if "epoch" in progress:
                told(progress["epoch"]["seconds"])

        request = self._request(epochs) | {
            "initial": self._initial[framework],
            "target": str(self._path(framework, "trained")),
        }
        worker.call(
            framework,
            "train",
            request,
            threads=self.threads,
            timeout_seconds=TIMEOUT_SECONDS,
            on_progress=on_progress,
        )

    def bare(self, framework: str, epochs: int, told: Told) -> None:
        """``benchmarks.bare``.

        Raises:
            WorkerError: it failed.
        """
        request, log = self._path(framework, "request.json"), self._path(framework, "log")
        request.write_text(json.dumps(self._request(epochs) | {"threads": self.threads}))
        with log.open("w") as errors:
            process = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.bare", framework, str(request)],
                cwd=PROJECT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env={**os.environ, **worker.QUIET},
            )
            self._bare.add(process)
            with process:
                assert process.stdout is not None
                for line in process.stdout:
                    told(json.loads(line)["progress"]["epoch"]["seconds"])
            self._bare.discard(process)
        if process.returncode:
            raise WorkerError(f"The bare {framework} training failed.", tail_of(log, 15))

    def stop(self) -> None:
        """End whatever still trains."""
        worker.stop_all(for_good=True)
        for process in list(self._bare):
            process.kill()

    def _request(self, epochs: int) -> dict[str, Any]:
        case = self._space.case
        return {
            "case": case.name,
            "cases_path": [str(folder) for folder in self._space.settings.case_folders],
            "training": asdict(case.training) | {"epochs": epochs},
            "seed": case.training.seed,
            "dataset": self._dataset,
        }

    def _path(self, framework: str, name: str) -> Path:
        self._runs += 1
        return self._scratch / f"{self._runs}-{framework}-{name}"
