"""The playground with both servers in containers: who answers, who is named when one is killed, and the end."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from pipelines.serve import left_running
from pipelines.settings import PROJECT, Settings
from pipelines.workspace import Workspace
from serving.image_recipe import Image

if TYPE_CHECKING:
    from docker import DockerClient

    from tests.conftest import Trained

pytestmark = [pytest.mark.docker, pytest.mark.frameworks, pytest.mark.timeout(600)]

WAIT_SECONDS = 120
"""A deadline, never a measurement."""
SERVERS = {"tfserving-rest", "tfserving-grpc", "torchserve-rest", "torchserve-grpc"}


@pytest.fixture
def space(trained: Trained, tmp_path: Path) -> Iterator[Workspace]:
    """Digits, version 1, in folders of the test's own."""
    artifacts = tmp_path / "artifacts"
    shutil.copytree(trained.space.settings.artifacts, artifacts)
    with tempfile.TemporaryDirectory(prefix="tw-", ignore_cleanup_errors=True) as state:
        yield Workspace.open("digits", Settings(artifacts=artifacts, state=Path(state).resolve()))


@pytest.fixture
def page(
    space: Workspace, torchserve: Image, embedded: Image, tmp_path: Path
) -> Iterator[tuple[httpx.Client, subprocess.Popen[bytes]]]:
    """A client of ``LAUNCHER=docker make playground``, and its process; it starts both containers."""
    output = tmp_path / "output.txt"
    environment = {
        **os.environ,
        "TWINSERVE_ARTIFACTS": str(space.settings.artifacts),
        "TWINSERVE_STATE": str(space.settings.state),
        "TWINSERVE_LAUNCHER": "docker",
    }
    command = [sys.executable, "-m", "pipelines", "playground", "--port", "0", "--no-browser"]
    with output.open("wb") as stream:
        process = subprocess.Popen(
            command, cwd=PROJECT, env=environment, stdout=stream, stderr=subprocess.STDOUT
        )
    try:
        until(
            lambda: process.poll() is not None or "http://" in output.read_text(),
            "it names its page",
        )
        found = re.search(r"http://127\.0\.0\.1:\d+", output.read_text())
        assert found, output.read_text()
        with httpx.Client(base_url=found[0], timeout=30, trust_env=False) as client:
            yield client, process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait(WAIT_SECONDS)


def until(done: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not done():
        assert time.monotonic() < deadline, f"not seen: {what}"
        time.sleep(0.2)


def ask(client: httpx.Client) -> dict[str, dict[str, Any]]:
    """By engine, what it says of the test split's first row."""
    row = client.get("/api/rows/0").json()
    answer = client.post("/api/ask", json={"inputs": row["inputs"]})
    assert answer.status_code == 200, answer.text
    said = [json.loads(line) for line in answer.text.splitlines()]
    return {each["engine"]: each for each in said if "engine" in each}


def test_containers_answer_a_killed_one_is_named_and_both_are_removed(
    page: tuple[httpx.Client, subprocess.Popen[bytes]], space: Workspace, engine: DockerClient
) -> None:
    client, process = page
    ids = {each.name: each.container_id for each in left_running(space)}
    assert len(ids) == 2 and all(ids.values()), "both servers are containers"
    until(lambda: sum("scores" in each for each in ask(client).values()) == 6, "six answers")
    said = ask(client)
    assert {key for key in said if "serv" in key} == SERVERS
    assert {each["winner"] for each in said.values()} == {said["tflite"]["winner"]}
    assert {each["version"] for each in said.values()} == {1}

    engine.containers.get(str(ids["torchserve"])).kill()
    until(
        lambda: "make serve" in ask(client)["torchserve-grpc"].get("problem", ""),
        "that TorchServe's container has ended, with what to do",
    )
    assert "scores" in ask(client)["tfserving-grpc"]

    process.send_signal(signal.SIGINT)
    assert process.wait(WAIT_SECONDS) == 130
    alive = {each.id for each in engine.containers.list(all=True, ignore_removed=True)}
    assert not alive & set(ids.values()), "a container is left"
