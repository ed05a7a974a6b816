"""Commands run in folders of their own, and one finished run of ``demo`` that all may copy."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


def _load(name: str) -> ModuleType:
    """A module beside this file, under a name of its own: pytest's importlib mode puts no test folder
    on the path."""
    spec = importlib.util.spec_from_file_location(
        f"e2e_tests_{name}", Path(__file__).with_name(f"{name}.py")
    )
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


commandline = _load("commandline")

Place = Any
NewPlace = Callable[..., Place]


@contextmanager
def _place(original: Place | None = None, **environment: str) -> Iterator[Place]:
    with tempfile.TemporaryDirectory(prefix="tw-", ignore_cleanup_errors=True) as folder:
        home = Path(folder).resolve()
        place = commandline.copy_of(original, home) if original else commandline.Place(home, {})
        place.environment.update(environment)
        try:
            yield place
        finally:
            place.end_all()


@pytest.fixture(scope="session")
def first_run(shared_folder: Path) -> tuple[Place, Any]:
    """A place where ``demo`` has run once, and what came of it."""
    place, told = commandline.Place(shared_folder / "demo", {}), shared_folder / "demo.json"
    place.home.mkdir(exist_ok=True)
    with place.lock:
        if not told.exists():
            told.write_text(json.dumps(asdict(place.run("demo"))))
            place.end_all()
    return place, commandline.Done(**json.loads(told.read_text()))


@pytest.fixture(scope="session")
def finished(first_run: tuple[Place, Any]) -> Place:
    """The place where ``demo`` has run once. Copy it before changing it."""
    place, done = first_run
    done.succeeded()
    return place


def _maker() -> Iterator[NewPlace]:
    with ExitStack() as stack:

        def make(original: Place | None = None, **environment: str) -> Place:
            return stack.enter_context(_place(original, **environment))

        yield make


@pytest.fixture
def new_place() -> Iterator[NewPlace]:
    """``new_place()`` is empty, ``new_place(finished)`` holds a copy of what is finished there."""
    yield from _maker()


@pytest.fixture(scope="module")
def lasting_place() -> Iterator[NewPlace]:
    """The same for places that the tests of a module share."""
    yield from _maker()


@pytest.fixture
def empty(new_place: NewPlace) -> Place:
    """A place where nothing has been made yet."""
    return new_place()


@pytest.fixture
def copied(finished: Place, new_place: NewPlace) -> Place:
    """A copy of what is finished, to be spoilt."""
    return new_place(finished)


@pytest.fixture
def mount() -> Iterator[Callable[..., None]]:
    """``mount(folder, options)`` makes a folder a file system of its own, in memory, until the test ends; done
    again, it has other options."""
    with ExitStack() as stack:

        def make(folder: Path, options: str) -> None:
            folder.mkdir(parents=True, exist_ok=True)
            again = folder.is_mount()
            options = f"remount,{options}" if again else options
            command = ["mount", "-t", "tmpfs", "-o", options, "twinserve-test", str(folder)]
            if shutil.which("mount") is None:
                pytest.skip("no `mount` on the PATH")
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                pytest.skip(f"`mount` is not permitted: {done.stderr.strip()}")
            if not again:
                stack.callback(subprocess.run, ["umount", "--lazy", str(folder)], check=True)

        yield make
