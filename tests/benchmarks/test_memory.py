"""Memory of a tree of real processes whose size is known."""

from __future__ import annotations

import subprocess
import sys
import time

import psutil

from benchmarks.memory import PeakMemory, command_of

MEGABYTE = 2**20
HOLD = "data = bytearray(b'x') * (120 * 2**20); print('held', flush=True); import sys; sys.stdin.read()"
PARENT = f"""
import subprocess, sys
children = [
    subprocess.Popen([sys.executable, "-c", {HOLD!r}], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                     start_new_session=True)
    for _ in range(2)
]
for child in children:
    child.stdout.readline()
print("all held", flush=True)
sys.stdin.readline()
for child in children:
    child.communicate()
print("all ended", flush=True)
sys.stdin.readline()
"""
ORPHAN = f"""
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", {HOLD!r}], stdin=sys.stdin, stdout=subprocess.PIPE,
                         start_new_session=True)
child.stdout.readline()
time.sleep(1)
"""


def start(program: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def wait_for_samples(memory: PeakMemory, more: int) -> None:
    wanted, deadline = memory.samples + more, time.monotonic() + 60
    while memory.samples < wanted and time.monotonic() < deadline:
        time.sleep(0.01)
    assert memory.samples >= wanted


def test_children_in_other_sessions_count_together_and_the_peak_stays() -> None:
    with start(PARENT) as process, PeakMemory(process.pid, interval_seconds=0.02) as memory:
        assert process.stdout and process.stdin
        assert process.stdout.readline() == "all held\n"
        wait_for_samples(memory, 2)
        peak = memory.peak_bytes
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "all ended\n"
        wait_for_samples(memory, 2)
        process.stdin.write("\n")
        process.stdin.flush()
        process.wait(30)
    assert 2 * 120 * MEGABYTE < peak < 2 * 200 * MEGABYTE
    assert memory.peak_bytes >= peak  # although both have ended since
    assert len(memory.peak_processes) == 3
    assert memory.survivors() == []


def test_a_child_whose_parent_has_ended_still_counts_and_is_named_as_left_behind() -> None:
    with start(ORPHAN) as process:
        with PeakMemory(process.pid, interval_seconds=0.02) as memory:
            process.wait(30)
            wait_for_samples(memory, 2)
        (left,) = memory.survivors()
        assert left.pid != process.pid
        assert memory.peak_bytes > 120 * MEGABYTE
        assert process.stdin
        process.stdin.close()
        psutil.wait_procs([left], timeout=30)


def test_a_module_is_named_rather_than_python() -> None:
    command = [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout and process.stdout.readline()
        assert command_of(psutil.Process(process.pid)) == "http.server 0 --bind"
        process.kill()
