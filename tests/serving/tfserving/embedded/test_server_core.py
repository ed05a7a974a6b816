"""Other configurations while a server runs, without its ports."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from serving.tfserving.embedded.options.flags import Flags
from serving.tfserving.embedded.server_core import ServerCore
from serving.tfserving.embedded.status import StatusError
from serving.tfserving.embedded.versions.models import Models, State
from serving.tfserving.messages import ModelServerConfig


class Loaded:
    """Stands for a version."""

    def __init__(self, name: str, version: int, folder: Path) -> None:
        self.name = name
        self.version = version

    def close(self) -> None:
        """Holds nothing."""


@pytest.fixture
def config(tmp_path: Path) -> Callable[..., Any]:
    """A configuration of models with these names."""

    def make(*names: str) -> Any:
        made = ModelServerConfig()
        for name in names:
            base_path = str(tmp_path / name)
            made.model_config_list.config.add(
                name=name, base_path=base_path, model_platform="tensorflow"
            )
        return made

    return make


@pytest.fixture
def models() -> Models:
    return Models()


@pytest.fixture
def core(models: Models, config: Callable[..., Any], tmp_path: Path) -> Iterator[ServerCore]:
    """Serves ``a`` and looks into base paths only when it is told to."""
    (tmp_path / "a" / "1").mkdir(parents=True)
    file = tmp_path / "models.config"
    file.write_text(str(config("a")))
    flags = Flags(model_config_file=str(file), file_system_poll_wait_seconds=0)
    made: Any = Loaded
    core = ServerCore(flags, models, made)
    core.start()
    yield core
    core.stop(10)


class TestReloadWithoutPolling:
    """Only the models that are new are waited for: ``ServerCore::AddModelsViaModelConfigList``."""

    def test_a_model_that_was_there_and_is_gone_holds_up_none_that_is_new(
        self, core: ServerCore, models: Models, config: Callable[..., Any], tmp_path: Path
    ) -> None:
        shutil.rmtree(tmp_path / "a")
        (tmp_path / "b" / "1").mkdir(parents=True)
        core.reload(config("a", "b"), lambda: False)
        assert {name: models.all_states(name)[1].state for name in "ab"} == {
            "a": State.AVAILABLE,
            "b": State.AVAILABLE,
        }

    def test_a_new_one_without_versions_is_named(
        self, core: ServerCore, config: Callable[..., Any], tmp_path: Path
    ) -> None:
        (tmp_path / "b").mkdir()
        with pytest.raises(StatusError, match="No versions of servable b found"):
            core.reload(config("a", "b"), lambda: False)
