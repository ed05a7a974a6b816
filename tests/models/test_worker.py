"""A framework's process: what it says, how it ends, and that none is left behind.

What a worker does wrong here is done by a case: its ``case.py`` runs inside the worker.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from models import worker
from models.errors import CaseError, UnknownCase, WorkerError

PROJECT = Path(__file__).resolve().parents[2]
FILES = ("data.py", "tensorflow.py", "pytorch.py")
PATIENCE_SECONDS = 60


@pytest.fixture
def call(write_case) -> Callable[..., dict[str, Any]]:
    """``call("case", "its case.py")`` has a PyTorch process initialise that case."""

    def do(name: str, case_py: str, **options: Any) -> dict[str, Any]:
        home = write_case(name, {"case.py": case_py, **dict.fromkeys(FILES, "")})
        request = {"case": name, "cases_path": [str(home)], "training": {}, "dataset": "none"}
        options = {"threads": 1, "timeout_seconds": 120, **options}
        return worker.call("pytorch", "initialise", request, **options)

    return do


def workers() -> list[psutil.Process]:
    return [
        each
        for each in psutil.Process().children(recursive=True)
        if each.status() != psutil.STATUS_ZOMBIE and "models.worker" in each.cmdline()
    ]


@pytest.fixture(autouse=True)
def _none_is_left() -> Iterator[None]:
    yield
    assert workers() == []


def wait_for(condition: Callable[[], Any]) -> Any:
    """The condition's first true value."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError("it did not come true")


@pytest.mark.frameworks
def test_our_errors_arrive_by_their_own_class(call):
    with pytest.raises(UnknownCase) as raised:
        worker.call(
            "pytorch",
            "initialise",
            {"case": "nowhere", "cases_path": []},
            threads=1,
            timeout_seconds=120,
        )
    assert raised.value.message.startswith("There is no case 'nowhere'; there is ")
    assert "docs/bring-your-own-model.md" in raised.value.hint


@pytest.mark.frameworks
def test_a_crash_gives_the_end_of_the_log(call):
    with pytest.raises(WorkerError) as raised:
        call("crashes", "raise ZeroDivisionError('by the case')")
    message, log = raised.value.message, raised.value.hint
    assert message == "The pytorch process for 'initialise' ended with exit code 1."
    assert log.splitlines()[-1] == "ZeroDivisionError: by the case"


@pytest.mark.frameworks
def test_what_a_framework_prints_is_not_taken_for_an_answer(call):
    lie = 'print(\'{"result": {"parameters": 1}}\', flush=True)\nimport no_such_module_at_all\n'
    with pytest.raises(CaseError, match="no_such_module_at_all"):
        call("prints", lie)


@pytest.mark.frameworks
def test_a_process_that_kills_itself_is_told_by_its_signal(call):
    with pytest.raises(WorkerError, match="was ended by SIGSEGV"):
        call("segfaults", "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)")


def test_an_argument_that_the_child_refuses_is_told():
    with pytest.raises(WorkerError, match="ended with exit code 2") as raised:
        worker.call("caffe", "train", {}, threads=1, timeout_seconds=60)
    assert "invalid choice: 'caffe'" in raised.value.hint


def test_a_process_that_takes_too_long_is_killed():
    with pytest.raises(WorkerError, match="The pytorch process for 'train' took too long"):
        worker.call("pytorch", "train", {}, threads=1, timeout_seconds=0.05)


def in_thread(errors: list[BaseException]) -> threading.Thread:
    """A thread that waits for a worker, and notes with which error that ended."""

    def wait() -> None:
        try:
            worker.call("pytorch", "train", {}, threads=1, timeout_seconds=120)
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def test_a_process_that_another_kills_did_not_take_too_long():
    errors: list[BaseException] = []
    thread = in_thread(errors)
    (child,) = wait_for(workers)
    child.kill()
    thread.join()
    (error,) = errors
    assert isinstance(error, WorkerError)
    assert error.message == "The pytorch process for 'train' was ended by SIGKILL."


def test_stop_all_ends_every_worker_and_lets_new_ones_start():
    errors: list[BaseException] = []
    threads = [in_thread(errors) for _ in range(2)]
    wait_for(lambda: len(workers()) == 2)
    worker.stop_all()
    for thread in threads:
        thread.join()
    assert [type(error) for error in errors] == [WorkerError] * 2
    with pytest.raises(WorkerError, match="took too long"):
        worker.call("pytorch", "train", {}, threads=1, timeout_seconds=0.05)


def test_after_a_stop_for_good_none_is_started():
    script = (
        "from models import worker\n"
        "worker.stop_all(for_good=True)\n"
        "worker.call('pytorch', 'train', {}, threads=1, timeout_seconds=60)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert done.stderr.splitlines()[-1] == "models.errors.WorkerError: The run was stopped."


SLEEPS = """
import os, time
from pathlib import Path
note = Path(os.environ["NOTE"])
try:
    note.write_text(str(os.getpid()))
    time.sleep(600)
finally:
    note.with_name("cleaned-up").write_text("")
"""
PARENT = """
import sys
from models import worker
request = {"case": "sleeps", "cases_path": [sys.argv[1]], "training": {}, "dataset": "none"}
worker.call("pytorch", "initialise", request, threads=1, timeout_seconds=600)
"""


@pytest.mark.frameworks
def test_a_child_ends_with_its_parent_and_cleans_up(write_case, tmp_path: Path):
    home = write_case("sleeps", {"case.py": SLEEPS, **dict.fromkeys(FILES, "")})
    note, scratch = tmp_path / "note", tmp_path / "scratch"
    scratch.mkdir()
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(home)],
        cwd=PROJECT,
        # The killed parent cannot remove its temporary folder; it goes with ours.
        env={**os.environ, "NOTE": str(note), "TMPDIR": str(scratch)},
    )
    try:
        pid = int(wait_for(lambda: note.exists() and note.read_text()))
        child = psutil.Process(pid)
        assert child.ppid() == parent.pid
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        wait_for(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)
        assert (tmp_path / "cleaned-up").exists()
    finally:
        parent.kill()
        parent.wait()
