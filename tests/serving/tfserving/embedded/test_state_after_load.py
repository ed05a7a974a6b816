"""A version's first answer is a client's: nothing is asked of a model that would remember it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from serving.process import ProcessServer
from serving.server import ServerSpec

pytestmark = pytest.mark.servers

WRITER = Path(__file__).parents[1] / "stateful_model_writer.py"
MODELS = ("variable", "table", "reference_variable", "queue", "random")


@pytest.fixture(scope="module")
def url(
    tmp_path_factory: pytest.TempPathFactory, embedded_spec: Callable[..., ServerSpec]
) -> Iterator[str]:
    """A server on all models of the writer."""
    folder = tmp_path_factory.mktemp("stateful")
    done = subprocess.run(
        [sys.executable, str(WRITER), str(folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    entries = (
        f'config {{ name: "{name}" base_path: "{folder / name}" model_platform: "tensorflow" }}'
        for name in MODELS
    )
    config = folder / "models.config"
    config.write_text(f"model_config_list {{ {' '.join(entries)} }}")
    spec = embedded_spec(MODELS[0], folder / "unused", folder / "work")
    server = ProcessServer(replace(spec, command=(*spec.command, f"--model_config_file={config}")))
    server.start()
    try:
        server.wait_ready(60)
        yield spec.url("rest")
    finally:
        server.stop()


@pytest.mark.parametrize("model", MODELS)
def test_the_first_answer_is_that_of_a_model_never_asked(url: str, model: str) -> None:
    first, second = (
        httpx.post(
            f"{url}/v1/models/{model}:predict", json={"inputs": [0.0]}, trust_env=False
        ).json()
        for _ in range(2)
    )
    assert first == {"outputs": 1.0}
    assert second != first
