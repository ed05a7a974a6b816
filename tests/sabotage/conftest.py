"""Versions with a wrong artifact under a right digest, so that only a comparison can tell."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from models.artifact import Artifact, Manifest
from models.framework import FRAMEWORKS, FrameworkName
from pipelines.facts import Findings
from pipelines.workspace import Workspace

HERE = Path(__file__).parent
PROJECT = HERE.parents[1]

SAVED_MODEL, TFLITE, INT8 = "SavedModel", "TFLite float32", "TFLite int8"
TORCHSCRIPT, MAR, ONNX = "TorchScript", "MAR", "ONNX"

VERSIONS: dict[FrameworkName, list[dict[str, str]]] = {
    "tensorflow": [
        {SAVED_MODEL: "training-mode", TFLITE: "scaling-left-out", INT8: "labels-permuted"},
        {SAVED_MODEL: "layouts-swapped", TFLITE: "labels-permuted", INT8: "scaling-left-out"},
        {SAVED_MODEL: "truncated", TFLITE: "another-run"},
    ],
    "pytorch": [
        {TORCHSCRIPT: "training-mode", MAR: "scaling-left-out", ONNX: "labels-permuted"},
        {TORCHSCRIPT: "layouts-swapped", MAR: "another-model", ONNX: "scaling-left-out"},
        {TORCHSCRIPT: "another-run", MAR: "labels-permuted"},
    ],
}
"""By framework: which artifact of which version is wrong, and how. Several a version, to open fewer processes."""

ENDINGS = {
    SAVED_MODEL: ".saved_model",
    TFLITE: ".tflite",
    INT8: ".int8",
    TORCHSCRIPT: ".pt",
    MAR: ".mar",
    ONNX: ".onnx",
}


@dataclass(frozen=True)
class Sabotaged:
    """A copy of the trained case, and wrong artifacts to be put into further versions of it.

    Attributes:
        space: the copy; version 1 is honest.
        wrong: folder of ``<mistake><ending>``.
    """

    space: Workspace
    wrong: Path

    def version(self, number: int, mistakes: Mapping[str, str]) -> Manifest:
        """A copy of version 1 with these artifacts wrong, and with their digests in its manifest."""
        honest = Manifest.read(self.space.version_folder(1))
        folder = self.space.version_folder(number)
        shutil.copytree(self.space.version_folder(1), folder)
        for form, mistake in mistakes.items():
            _put(self.wrong / f"{mistake}{ENDINGS[form]}", folder / honest.artifact(form).path)
        artifacts = tuple(
            Artifact.of(each.framework, each.format, folder, each.path) for each in honest.artifacts
        )
        manifest = replace(honest, version=number, artifacts=artifacts)
        manifest.write(folder)
        return manifest


def _put(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.rmtree(target)
        shutil.copytree(source, target)
    else:
        shutil.copyfile(source, target)


@pytest.fixture(scope="session")
def sabotaged(trained: Any, tmp_path_factory: pytest.TempPathFactory) -> Sabotaged:
    home = tmp_path_factory.mktemp("sabotaged").resolve()
    shutil.copytree(trained.space.home, home / "digits")
    settings = trained.space.settings.model_copy(update={"artifacts": home})
    wrong = tmp_path_factory.mktemp("wrong")
    own, other = (trained.training(name) for name in FRAMEWORKS)
    initial = next((trained.space.home / "initial").glob("pytorch-*"))
    with ThreadPoolExecutor(2) as pool:
        jobs = [
            pool.submit(_export, "wrong_tensorflow.py", own, other, trained.data.path, wrong),
            pool.submit(_export, "wrong_pytorch.py", other, own, initial, wrong),
        ]
    for job in jobs:
        job.result()
    _truncate(trained.version / "tensorflow/saved_model", wrong / "truncated.saved_model")
    return Sabotaged(replace(trained.space, settings=settings), wrong)


def _export(script: str, *arguments: object) -> None:
    done = subprocess.run(
        [sys.executable, str(HERE / script), *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]


def _truncate(honest: Path, target: Path) -> None:
    """The same SavedModel with half of its variables."""
    shutil.copytree(honest, target)
    (variables,) = (target / "variables").glob("variables.data-*")
    variables.write_bytes(variables.read_bytes()[: variables.stat().st_size // 2])


Judged = Callable[[FrameworkName, int], Findings]


@pytest.fixture(scope="session")
def judged(sabotaged: Sabotaged) -> Judged:
    """``judged(framework, i)``: what verification says of the i-th of its wrong versions."""
    from pipelines.verify import verify_framework

    def verify_all(framework: FrameworkName) -> list[Findings]:
        first = 10 * (1 + FRAMEWORKS.index(framework))
        return [
            verify_framework(
                sabotaged.space, framework, sabotaged.version(first + number, mistakes)
            )
            for number, mistakes in enumerate(VERSIONS[framework])
        ]

    with ThreadPoolExecutor(2) as pool:
        found = dict(zip(FRAMEWORKS, pool.map(verify_all, FRAMEWORKS), strict=True))
    return lambda framework, number: found[framework][number]


@pytest.fixture(scope="session")
def wrong_versions() -> Mapping[FrameworkName, list[dict[str, str]]]:
    return VERSIONS


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """``sabotage``: (framework, number of its version, format, mistake), for every wrong artifact."""
    if "sabotage" in metafunc.fixturenames:
        each = [
            (framework, number, form, mistake)
            for framework, versions in VERSIONS.items()
            for number, mistakes in enumerate(versions)
            for form, mistake in mistakes.items()
        ]
        ids = [f"{form}-{mistake}" for _, _, form, mistake in each]
        metafunc.parametrize("sabotage", each, ids=ids)
