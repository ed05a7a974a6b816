"""Every command of README is executed, in its order, in a copy of the project that nothing has been made in.

Two shortcuts, both asserted: ``.venv`` is the one that runs the tests, and what ``demo`` has already made is
laid there, so that the first ``make demo`` finds it complete.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipelines.settings import PROJECT

pytestmark = [pytest.mark.e2e, pytest.mark.servers, pytest.mark.slow]

BLOCK = re.compile(r"^```(?:sh|bash)\n(.*?)^```", re.MULTILINE | re.DOTALL)
VIRTUAL_ENVIRONMENT = Path(sys.prefix)

ELSEWHERE = {
    "make test": "it would run this very test",
    "make prefect": "test_prefect.py runs its command",
    "make deployments": "test_prefect.py runs its command",
    "prefect deployment run": "test_prefect.py runs it",
    "make demo ARGS=": "test_interruptions.py runs demo with other hyper-parameters",
    "make demo CASE=": "test_own_case.py runs demo on the example",
    "make measure ONLY=": "tens of minutes: tests/pipelines/breakdown has its parts",
    "make playground": "runs until Ctrl-C: tests/pipelines/playground uses it in a browser",
    "make bench-pipeline": "a benchmark, minutes long",
    "make lineage": "needs a run with TFX: test_flights.py asks for it",
    "make retrain": "needs TFX: test_retrain.py replays a few months",
    "make deploy": "test_deploy.py exchanges versions; there is only one here",
    "make rollback": "test_deploy.py exchanges versions; there is only one here",
    "make images": "needs a Docker engine: tests/docker/test_images.py",
    "make demo LAUNCHER=docker": "needs a Docker engine: test_containers.py runs it",
    "make up": "needs a Docker engine: tests/docker/test_compose.py",
    "make down": "needs a Docker engine: tests/docker/test_compose.py",
}
"""Commands that are not run here, and why; what make would run for them is looked at all the same."""


def commands() -> list[str]:
    """Lines of the fenced shell blocks, without remarks."""
    blocks = BLOCK.findall((PROJECT / "README.md").read_text())
    lines = [line.partition(" #")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def reason_elsewhere(line: str) -> str:
    """Why a command is not run here; empty where it is."""
    words = [word for word in shlex.split(line) if not re.match(r"[A-Z_]+=", word)]
    spoken = " ".join(
        [Path(words[0]).name, *shlex.split(line)[shlex.split(line).index(words[0]) + 1 :]]
    )
    return next((why for start, why in ELSEWHERE.items() if spoken.startswith(start)), "")


@pytest.fixture(scope="module")
def clone(finished: Any, lasting_place: Callable[..., Any]) -> tuple[Any, Path]:
    """A place, and in it what git would put into a fresh clone, with everything not yet committed."""
    place = lasting_place()
    folder = place.home / "c"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip(f"git does not list the project's files: {listed.stderr.strip()}")
    for name in filter(None, listed.stdout.split("\0")):
        if (PROJECT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT / name, folder / name)
    (folder / ".venv").symlink_to(VIRTUAL_ENVIRONMENT)
    storage = finished.state / "prefect" / "storage"
    with finished.lock:
        shutil.copytree(finished.artifacts, folder / "artifacts")
        shutil.copytree(storage, folder / ".twinserve" / "prefect" / "storage")
    return place, folder


def run(clone: tuple[Any, Path], line: str) -> Any:
    """As a person would in that folder, whose own artifacts and state are used."""
    place, folder = clone
    bare = ["env", "-u", "TWINSERVE_ARTIFACTS", "-u", "TWINSERVE_STATE", "bash", "-c", line]
    return place.start_command(bare, folder).end()


def test_readme_holds_the_commands_that_people_need() -> None:
    spoken = "\n".join(commands())
    for command in ("demo", "test", "help", "serve", "query", "stop", "prefect", "deployments"):
        assert re.search(rf"\bmake {command}\b", spoken), f"make {command}"


def test_setup_finds_the_installation_complete(clone: tuple[Any, Path]) -> None:
    if not (VIRTUAL_ENVIRONMENT / ".ready").exists():
        pytest.skip("the tests do not run from a .venv that `make setup` made")
    run(clone, "make setup").succeeded().said("Nothing to be done")


@pytest.mark.parametrize("line", [line for line in commands() if not reason_elsewhere(line)])
def test_command(clone: tuple[Any, Path], line: str) -> None:
    place, folder = clone
    run(clone, line).succeeded()
    if line == "make stop":
        place.wait_for_quiet()
    if line == "make demo":
        assert not (folder / "artifacts" / "digits" / "2").exists()
        assert (folder / "artifacts/digits/1/report/index.html").is_file()


@pytest.mark.parametrize("line", [line for line in commands() if reason_elsewhere(line)])
def test_command_that_runs_elsewhere_can_be_read(clone: tuple[Any, Path], line: str) -> None:
    if "prefect deployment run" in line:
        done = run(clone, line.partition(" deployment run")[0] + " deployment run --help")
    else:
        done = run(clone, line.replace("make ", "make --dry-run ", 1))
        for command in re.findall(r"\S+/python -m pipelines [^\n;]*", done.text):
            run(clone, f"{command} --help").succeeded()
    done.succeeded()


def test_ci_runs_the_tests_that_readme_names() -> None:
    assert "make test" in (PROJECT / ".ci" / "run").read_text().splitlines()
