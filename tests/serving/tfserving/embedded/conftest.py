"""Models in a store, servers on a configuration of them, and a client of REST."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from serving.process import ProcessServer
from serving.server import ServerSpec
from tests.serving.tfserving.embedded.configured import Configured, Start, Store

Wait = Callable[[Callable[[], bool]], None]


@pytest.fixture
def http(half_server: ProcessServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=half_server.spec.url("rest"), trust_env=False) as client:
        yield client


@pytest.fixture
def store(tmp_path: Path, saved_model: Path, second_saved_model: Path) -> Store:
    return Store(tmp_path / "store", saved_model, second_saved_model)


@pytest.fixture
def start(
    tmp_path: Path, embedded_spec: Callable[..., ServerSpec], wait_until: Wait
) -> Iterator[Start]:
    """Starts a server on a configuration, and waits until its ports are open."""
    started: list[Configured] = []

    def start(text: str, *flags: str) -> Configured:
        path = tmp_path / "models.config"
        path.write_text(text)
        spec = embedded_spec("digits", tmp_path / "unused", tmp_path / "work")
        command = (*spec.command, f"--model_config_file={path}", *flags)
        found = Configured(replace(spec, command=command), path)
        started.append(found)
        wait_until(found.is_open)
        return found

    yield start
    for each in started:
        each.close()
