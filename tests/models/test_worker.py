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


def train() -> None:
    worker.call("pytorch", "train", {}, threads=1, timeout_seconds=120)


def in_thread(errors: list[BaseException], work: Callable[[], object] = train) -> threading.Thread:
    """A thread that waits for a worker, and notes with which error that ended."""

    def wait() -> None:
        try:
            work()
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


TIDIES = """
import os, time
from pathlib import Path
note = Path({note!r})
try:
    note.write_text("begun")
    time.sleep(600)
finally:
    note.write_text("tidying")
    time.sleep(1)
    note.write_text("tidy")
"""


@pytest.mark.frameworks
def test_one_that_is_asked_twice_to_end_still_tidies_up(call, tmp_path: Path):
    """Ctrl-C does: once from the signal's handler, and once from the flow that it ends."""
    note = tmp_path / "note"
    errors: list[BaseException] = []
    thread = in_thread(errors, lambda: call("tidies", TIDIES.format(note=str(note))))
    wait_for(lambda: note.exists() and note.read_text() == "begun")
    worker.stop_all()
    wait_for(lambda: note.read_text() == "tidying")
    worker.stop_all()
    thread.join()
    assert note.read_text() == "tidy"
    assert [type(error) for error in errors] == [WorkerError]


DEAF = """
import signal, subprocess, sys, time
from pathlib import Path
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
Path({note!r}).write_text(str(child.pid))
time.sleep(600)
"""


@pytest.mark.frameworks
def test_one_that_does_not_listen_is_killed_with_what_it_has_started(
    call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(worker, "END_SECONDS", 1)
    note = tmp_path / "note"
    errors: list[BaseException] = []
    thread = in_thread(errors, lambda: call("deaf", DEAF.format(note=str(note))))
    pid = int(wait_for(lambda: note.exists() and note.read_text()))
    worker.stop_all()
    thread.join()
    assert "SIGKILL" in str(errors)
    wait_for(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == "zombie")


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
