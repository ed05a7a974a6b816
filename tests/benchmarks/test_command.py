"""The command line, and the two ways of training on a real case."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from benchmarks.pipeline import parse
from benchmarks.runs import Home
from benchmarks.throughput import train_side_by_side
from benchmarks.trainers import Trainers

PROJECT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "benchmarks.pipeline"]
IGNORES_CTRL_C = ["sh", "-c", "trap '' INT; exec \"$@\"", "sh"]
"""As a job that a script starts in the background does, and what it starts."""


def test_help_says_what_it_does_and_what_its_exit_code_means() -> None:
    done = subprocess.run(
        [*COMMAND, "--help"], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    for word in ("--quick", "--json", "--only", "--pairs", "Exit code", "make bench-pipeline"):
        assert word in done.stdout


def test_quick_sets_only_what_was_left_out() -> None:
    assert (parse(["--quick"]).pairs, parse([]).pairs) == (1, 5)
    chosen = parse(["--quick", "--pairs", "3", "--seconds", "4"])
    assert (chosen.pairs, chosen.seconds) == (3, 4.0)


def test_no_pairs_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["--pairs", "0"])
    assert "at least 1" in capsys.readouterr().err


@pytest.fixture(scope="module")
def trainers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trainers]:
    made = Trainers("digits", Home(tmp_path_factory.mktemp("home")))
    yield made


@pytest.mark.frameworks
@pytest.mark.parametrize("way", ["through_pipeline", "bare"])
def test_both_ways_train_every_epoch_of_both_frameworks(trainers: Trainers, way: str) -> None:
    seen = train_side_by_side(getattr(trainers, way), {"tensorflow": 3, "pytorch": 4})
    assert {name: len(epochs) for name, epochs in seen.items()} == {"tensorflow": 3, "pytorch": 4}
    assert all(epoch.seconds > 0 for epochs in seen.values() for epoch in epochs)
    assert trainers.rows == 1078


@pytest.mark.frameworks
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_benchmark_leaves_no_process_and_no_folder(
    tmp_path: Path, number: signal.Signals
) -> None:
    process = subprocess.Popen(
        [*IGNORES_CTRL_C, *COMMAND, "--only", "training"],
        cwd=PROJECT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
    )
    started: list[psutil.Process] = []
    with process:
        deadline = time.monotonic() + 120
        while not started and time.monotonic() < deadline:
            time.sleep(0.1)
            started = psutil.Process(process.pid).children(recursive=True)
        assert started, "no training was started"
        process.send_signal(number)
        assert process.wait(60) == 130
    # A worker that was just being born ends by itself as its standard input closes.
    _, alive = psutil.wait_procs(started, timeout=30)
    assert not [each for each in alive if each.status() != psutil.STATUS_ZOMBIE]
    assert not list(tmp_path.glob("ts-*"))
