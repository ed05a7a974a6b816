"""Ctrl-C in the middle: nothing is left running."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from benchmarks.fuzz.subject import PROJECT


@pytest.mark.servers
def test_ctrl_c(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.fuzz", "--target", "parsers"]
    command += ["--findings", str(tmp_path / "found")]
    run = subprocess.Popen(
        command,
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        text=True,
        env={"TMPDIR": str(tmp_path), "PATH": "/usr/bin:/bin"},
    )
    assert run.stdout is not None
    try:
        assert "inputs" in run.stdout.readline()
        family = psutil.Process(run.pid).children(recursive=True)
        assert len(family) == 2, "the server, and the parsers' process"
        run.send_signal(signal.SIGINT)
        said, _ = run.communicate(timeout=60)
    finally:
        run.kill()
        run.wait()
    assert run.returncode == 130
    assert said.endswith("Stopped; nothing is left running.\n")
    deadline = time.monotonic() + 30
    while any(each.is_running() for each in family):
        assert time.monotonic() < deadline, family
        time.sleep(0.05)
    left = {each.name for each in tmp_path.iterdir()}
    assert left <= {"__pycache__"}, "that one is TensorFlow's, of the process that writes a model"
