"""The fault drills, each once; and that they see a wrong answer, an orphan and a fault that is none."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from benchmarks.drills import at_start, crashes
from benchmarks.drills.facts import DrillFacts
from benchmarks.drills.page import page_of
from benchmarks.drills.rehearse import DRILLS, rehearse
from benchmarks.drills.stage import Stage, open_stage
from pipelines.settings import PROJECT
from serving.container import RECORDS
from serving.engine import connect

if TYPE_CHECKING:
    from serving.image_recipe import Image
    from tests.conftest import Trained

pytestmark = [
    pytest.mark.docker,
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.usefixtures("torchserve", "embedded"),
]

COMMAND = [sys.executable, "-m", "benchmarks.drills"]
DEADLINE_SECONDS = 120

SEEN = {
    "port-taken": ["PortInUse", "Address already in use", "Choose another port"],
    "image-missing": ["ImageMissing", "twinserve/no-such-image:1", "make images"],
    "oom": ["ServerDied", "was killed for lack of memory: its limit is"],
    "engine-away": ["EngineUnavailable", "does not answer", "make stop", "Stopped TorchServe"],
    "push-tfserving": ["saved_model.pb"],
    "push-torchserve": ["Failed to save model", "Failed to start workers"],
    "deploy-damaged": ["ArtifactCorrupt", "sha256", "<artifacts>"],
    "keys-exchanged": ["HTTP 400", "Token Authorization failed"],
    "key-expired": ["HTTP 400", "expired"],
    "pause-tfserving": ["REST: Unreachable", "gRPC: Unreachable", "timed out"],
    "pause-torchserve": ["REST: Unreachable", "gRPC: Unreachable", "timed out"],
    "kill-worker": ["Worker died"],
    "kill-tfserving": ["REST: Unreachable", "gRPC: Unreachable"],
    "kill-torchserve": ["REST: Unreachable", "gRPC: Unreachable"],
    "stop": ["Stopped TF Serving", "Stopped TorchServe"],
}
"""The cause, by its name, in what the user sees."""

ASKED = {name for name in DRILLS if name.startswith(("push", "deploy", "key", "pause", "kill"))}
RECOVERING = {name for name in DRILLS if name.startswith(("pause", "kill", "engine"))}


@pytest.fixture(scope="module")
def found(trained: Trained, torchserve: Image, embedded: Image) -> dict[str, DrillFacts]:
    """What came of every drill, by name."""
    with open_stage("digits", trained.space.settings) as stage:
        facts = rehearse(stage, list(DRILLS), print)
    return {each.name: each for each in facts}


@pytest.mark.parametrize("name", DRILLS)
def test_it_goes_as_it_should(found: dict[str, DrillFacts], name: str) -> None:
    facts = found[name]
    assert facts.problems == ()
    assert facts.wrong == 0
    assert facts.orphans == ()
    assert facts.passed
    assert [word for word in SEEN[name] if word not in facts.seen] == [], facts.seen
    assert (facts.asked > 0) == (name in ASKED)
    assert (facts.recovered_seconds is not None) == (name in RECOVERING)


def test_a_good_version_serves_on_without_a_failed_request(found: dict[str, DrillFacts]) -> None:
    undisturbed = [found[name] for name in ASKED if name.startswith(("push", "deploy", "key"))]
    assert [facts.failed for facts in undisturbed] == [0] * len(undisturbed)


def test_the_page_shows_every_drill_and_nothing_of_this_machine(
    found: dict[str, DrillFacts],
) -> None:
    now = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
    page = page_of(list(found.values()), "make drills", {"Docker": "20.10"}, now)
    for name, facts in found.items():
        assert f"\n## {name}\n" in page
        assert f"| [{name}](#{name}) | {facts.server} |" in page
    assert "Run on 2026-01-02 03:04 UTC: Docker 20.10." in page
    assert page.count("✓") == len(DRILLS)
    for private in (tempfile.gettempdir(), str(PROJECT), str(Path.home())):
        assert f"{private}/" not in page


# ---- the drills' own checks ----


@pytest.fixture(scope="module")
def stage(trained: Trained, torchserve: Image, embedded: Image) -> Iterator[Stage]:
    with open_stage("digits", trained.space.settings) as opened:
        yield opened


def test_wrong_answers_are_counted(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Held against the answers to other rows, what the server says is wrong."""
    monkeypatch.setattr(crashes, "RECOVERY_SECONDS", 2.0)
    others = {
        server: {name: rows[::-1] for name, rows in outputs.items()}
        for server, outputs in stage.expected().items()
    }
    facts = crashes.pause_server(stage, "tfserving", others)
    assert facts.wrong > 0
    assert not facts.passed
    assert "no right answer after it was unpaused" in facts.problems


def test_a_container_left_behind_is_an_orphan(stage: Stage) -> None:
    client = connect()
    labels = {RECORDS: str(stage.records.resolve())}
    left = client.containers.run("debian:bookworm-slim", "sleep 600", detach=True, labels=labels)
    try:
        facts = at_start.name_missing_image(stage)
    finally:
        left.remove(force=True)
        client.close()
    assert facts.orphans == (f"container {left.name} (running)",)
    assert facts.problems == ()
    assert not facts.passed
    assert stage.orphans() == ()


def test_a_process_left_behind_is_an_orphan(stage: Stage) -> None:
    environment = {**os.environ, "TWINSERVE_STATE": str(stage.space.settings.state)}
    with subprocess.Popen(["sleep", "600"], env=environment) as left:
        try:
            assert stage.orphans() == (f"process {left.pid} (sleep 600)",)
        finally:
            left.kill()
    assert stage.orphans() == ()


def test_a_fault_that_is_none_is_a_problem(
    stage: Stage, torchserve: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`check` runs with an image that is there, and the drill misses its message."""
    monkeypatch.setattr(at_start, "NO_SUCH_IMAGE", torchserve.name)
    facts = at_start.name_missing_image(stage)
    assert "the message does not say 'ImageMissing'" in facts.problems
    assert not facts.passed


def test_a_drill_that_cannot_be_carried_through_is_a_finding(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody to kill, as with an engine on another machine; the next drill gets a new pair."""
    monkeypatch.setattr(crashes, "WORKER", "no such program")
    broken, next_one = rehearse(stage, ["kill-worker", "stop"], print)
    assert not broken.passed
    assert "has no worker process" in broken.seen
    assert next_one.passed


# ---- the command ----


def test_stopped_in_the_middle_it_leaves_nothing(trained: Trained) -> None:
    with tempfile.TemporaryDirectory(prefix="tw-", dir="/tmp") as folder:
        process = subprocess.Popen(
            [*COMMAND, "--only", "pause-tfserving"],
            cwd=PROJECT,
            env=environment_of(trained, TMPDIR=folder),
            stdout=subprocess.PIPE,
            text=True,
        )
        with process:
            deadline = time.monotonic() + DEADLINE_SECONDS
            while not containers_below(folder):
                assert process.poll() is None
                assert time.monotonic() < deadline, "no container was started"
                time.sleep(0.1)
            process.send_signal(signal.SIGINT)
            said, _ = process.communicate(timeout=DEADLINE_SECONDS)
        assert process.returncode == 130, said
        assert "nothing is left running" in said
        assert containers_below(folder) == []
        assert list(Path(folder).iterdir()) == []


def test_without_a_version_it_says_what_to_do(tmp_path: Path) -> None:
    done = subprocess.run(
        COMMAND,
        cwd=PROJECT,
        env={**os.environ, "TWINSERVE_ARTIFACTS": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "ArtifactMissing: There is no exported version of 'digits'" in done.stdout
    assert "make demo" in done.stdout
    assert "Traceback" not in done.stderr


def test_without_an_engine_it_says_what_to_do(trained: Trained, tmp_path: Path) -> None:
    done = subprocess.run(
        COMMAND,
        cwd=PROJECT,
        env=environment_of(trained, DOCKER_HOST=f"unix://{tmp_path}/nobody.sock"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "EngineUnavailable: No Docker engine answers at" in done.stdout


def environment_of(trained: Trained, **more: str) -> dict[str, str]:
    return {**os.environ, "TWINSERVE_ARTIFACTS": str(trained.space.settings.artifacts), **more}


def containers_below(folder: str) -> list[str]:
    """Names of containers whose records lie below a folder."""
    client = connect()
    try:
        every = client.containers.list(all=True, filters={"label": RECORDS}, ignore_removed=True)
        return [str(each.name) for each in every if each.labels[RECORDS].startswith(folder)]
    finally:
        client.close()
