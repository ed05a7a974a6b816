"""TFX's environment is made whole or not at all, and by one run at a time."""

from __future__ import annotations

import fcntl
import threading
from pathlib import Path

import pytest

from models.errors import EnvironmentMissing
from pipelines.tfx import environment


@pytest.fixture
def requirements(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Pins of the test's own, which ask for nothing."""
    monkeypatch.setattr(environment, "REQUIREMENTS", tmp_path)
    for name in (environment.OLD_PINS, environment.NEW_PINS):
        (tmp_path / name).write_text("")
    return tmp_path


def test_it_is_made_once_and_again_when_pins_change(requirements: Path):
    home, told = requirements / ".venv-tfx", []
    python = environment.tfx_python(told.append, home)
    assert python.exists()
    assert len(told) == 2
    environment.tfx_python(told.append, home)
    assert len(told) == 2
    environment.pins().write_text("# other pins\n")
    assert not environment.is_ready(home)


def test_what_cannot_be_installed_leaves_nothing(requirements: Path):
    environment.pins().write_text("./no-such-wheel-1.0-py3-none-any.whl\n")
    home = requirements / ".venv-tfx"
    with pytest.raises(EnvironmentMissing) as raised:
        environment.tfx_python(home=home)
    assert "`uv pip` ended with" in raised.value.message
    assert "no-such-wheel" in raised.value.hint
    assert not home.exists()


def test_a_second_run_waits_for_the_first(requirements: Path):
    home, told, waits = requirements / ".venv-tfx", [], threading.Event()

    def listen(message: str) -> None:
        told.append(message)
        waits.set()

    with environment.pins().open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        second = threading.Thread(target=environment.tfx_python, args=(listen, home))
        second.start()
        assert waits.wait(60)
        assert told == ["Another run is making TFX's environment; waiting for it."]
        assert not home.exists()
    second.join()
    assert environment.is_ready(home)
