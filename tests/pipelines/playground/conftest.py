"""Digits to draw, a browser, and a playground with both servers."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import uvicorn

from models.case import case_function, load_case
from pipelines.playground.application import Playground
from pipelines.playground.catalogue import Catalogue
from pipelines.settings import PROJECT, Settings
from pipelines.workspace import Workspace
from tests.pipelines.playground.fakes import KEYS, Client, Fake, FakeFleet, always

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
START_SECONDS = 240
"""A deadline, never a measurement."""


def _load(name: str) -> ModuleType:
    """A module beside this file: pytest's importlib mode puts no test folder on the path."""
    path = Path(__file__).with_name(f"{name}.py")
    spec = importlib.util.spec_from_file_location(f"playground_tests_{name}", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


looking = _load("looking")


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    case = load_case("digits")
    return Catalogue.of(case, case_function("digits", "data", "load")(7).test)


@pytest.fixture
def fleet() -> FakeFleet:
    return FakeFleet([Fake(key, always(3)) for key in KEYS])


@pytest.fixture
def client(catalogue: Catalogue, fleet: FakeFleet) -> Client:
    return Client(Playground(catalogue, fleet).application())


@pytest.fixture(scope="session")
def strokes() -> ModuleType:
    """Digits to draw."""
    return _load("strokes")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium of this machine, driven by Playwright."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="no `playwright`")
    program = next((path for name in NAMES if (path := shutil.which(name))), None)
    if program is None:
        pytest.skip(f"no Chromium on the PATH (looked for {', '.join(NAMES)})")
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def open_playground(browser: Any) -> Iterator[Callable[..., Any]]:
    """``open_playground(url, size, dark)``: a page, see ``looking.shown``; closed with the test."""
    with ExitStack() as stack:

        def page_of(url: str, *how: Any, **more: Any) -> Any:
            return stack.enter_context(looking.shown(browser, url, *how, **more))

        yield page_of


@pytest.fixture
def open_page(
    open_playground: Callable[..., Any], playground: Any, request: pytest.FixtureRequest
) -> Callable[..., Any]:
    """``open_page(size, dark=True)``: the module's playground, once each of its ``ENGINES`` has answered."""

    def page_of(*how: Any, **more: Any) -> Any:
        page = open_playground(playground.url, *how, **more)
        page.answered().nth(request.module.ENGINES - 1).wait_for()
        return page

    return page_of


@pytest.fixture(scope="session")
def serve_page() -> Callable[..., AbstractContextManager[str]]:
    """``with serve_page(playground, port=0) as url``: a Playground over a real socket, in a thread."""
    return _served


@contextmanager
def _served(playground: Any, port: int = 0) -> Iterator[str]:
    config = uvicorn.Config(playground.application(), port=port, log_level="warning")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        deadline = time.monotonic() + START_SECONDS
        while not server.started:
            assert thread.is_alive() and time.monotonic() < deadline
            time.sleep(0.02)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/"
    finally:
        server.should_exit = server.force_exit = True
        thread.join(60)
    assert not thread.is_alive()


@dataclass(frozen=True)
class Running:
    """A playground that runs; it has started both servers itself, with version 1.

    Attributes:
        environment: of it, and of every command that is to find its servers.
    """

    url: str
    space: Workspace
    environment: dict[str, str]
    process: subprocess.Popen[bytes]
    output: Path

    def command(self, *arguments: str) -> None:
        """A subcommand for its case, as a person would in another terminal."""
        subprocess.run(
            [sys.executable, "-m", "pipelines", *arguments],
            cwd=PROJECT,
            env=self.environment,
            check=True,
            timeout=START_SECONDS,
            stdout=subprocess.DEVNULL,
        )


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Folders of the module's own."""
    artifacts = tmp_path_factory.mktemp("playground") / "artifacts"
    # Unix sockets live below the state, and their paths end at 107 bytes.
    with tempfile.TemporaryDirectory(prefix="tw-", ignore_cleanup_errors=True) as state:
        yield Settings(artifacts=artifacts, state=Path(state).resolve())


@pytest.fixture(scope="session")
def start_playground() -> Callable[[Workspace], AbstractContextManager[Running]]:
    """``with start_playground(space) as running``."""
    return started


@pytest.fixture(scope="module")
def playground(trained: Any, home: Settings) -> Iterator[Running]:
    """Digits, with a second version that no server has yet."""
    from pipelines.alone import export_alone, train_alone

    shutil.copytree(trained.space.settings.artifacts, home.artifacts)
    second = Workspace.open("digits", home, {"epochs": 1})
    train_alone(second)
    assert export_alone(second).version == 2
    with started(Workspace.open("digits", home)) as running:
        yield running


@contextmanager
def started(space: Workspace) -> Iterator[Running]:
    """``python -m pipelines playground`` until the block ends."""
    settings, output = space.settings, space.settings.artifacts.parent / "output.txt"
    environment = {
        **os.environ,
        "TWINSERVE_ARTIFACTS": str(settings.artifacts),
        "TWINSERVE_STATE": str(settings.state),
        "TWINSERVE_TFX": str(settings.tfx),
        **({"TWINSERVE_SAMPLE": str(settings.sample)} if settings.sample else {}),
    }
    options = ["--case", space.case.name, "--port", "0", "--version", "1", "--no-browser"]
    with output.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "pipelines", "playground", *options],
            cwd=PROJECT,
            env=environment,
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
    try:
        running = Running(_url_in(output, process), space, environment, process, output)
        yield running
        running.command("stop")  # what a test has served anew, the page leaves running
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait(60)


def _url_in(output: Path, process: subprocess.Popen[bytes]) -> str:
    """Wait until it has said where the page is."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        said = output.read_text()
        if found := re.search(r"http://127\.0\.0\.1:\d+/", said):
            return found[0]
        assert process.poll() is None, said
        time.sleep(0.1)
    raise AssertionError(output.read_text())
