"""Which number a version gets."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from models.framework import FRAMEWORKS
from pipelines.export import assemble_version, export_framework
from pipelines.workspace import Workspace
from serving.pushed import stage_pair

pytestmark = pytest.mark.frameworks


@pytest.fixture
def exported(trained: Any, tmp_path: Path) -> Workspace:
    """Version 1 and what it was made of, in a place of the test's own."""
    artifacts = tmp_path / "artifacts"
    shutil.copytree(trained.space.home, artifacts / trained.space.home.name)
    settings = trained.space.settings.model_copy(update={"artifacts": artifacts})
    return replace(trained.space, settings=settings)


def assemble(space: Workspace, trained: Any, fresh: bool = False) -> int:
    facts = zip(FRAMEWORKS, trained.facts.trainings, strict=True)
    exports = [export_framework(space, name, trained.data, each) for name, each in facts]
    return assemble_version(replace(space, fresh=fresh), trained.data, exports).version


def push(space: Workspace, number: int) -> None:
    folder, manifest = space.version_folder(number), space.manifest(number)
    stage_pair(space.pushed_folder(), folder, manifest, space.case.name, "{}")


def test_the_same_inputs_have_the_same_number(exported: Workspace, trained: Any) -> None:
    assert assemble(exported, trained) == 1
    assert assemble(exported, trained, fresh=True) == 1


def test_a_number_that_was_pushed_keeps_its_files(exported: Workspace, trained: Any) -> None:
    push(exported, 1)
    before = exported.manifest(1)
    assert assemble(exported, trained) == 1
    assert assemble(exported, trained, fresh=True) == 2
    assert exported.manifest(1) == before
    assert assemble(exported, trained) == 2, "the newest of the same inputs"


def test_a_number_that_was_pushed_is_not_given_again(exported: Workspace, trained: Any) -> None:
    push(exported, 1)
    shutil.rmtree(exported.version_folder(1))
    assert assemble(exported, trained) == 2
