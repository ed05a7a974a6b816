"""What many rows are held to, and what the command refuses."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest

from benchmarks import scale
from benchmarks import scale_formats as formats
from benchmarks.memory import PeakMemory
from benchmarks.scale_figures import scale_figures
from benchmarks.scaling import Size, Trained
from models.split import Split

PROJECT = Path(__file__).resolve().parents[2]


def size(factor: int, row_microseconds: float, peak_bytes: int) -> Size:
    rows = factor * 1000
    seconds = row_microseconds * rows / 1e6
    memory = PeakMemory(os.getpid())
    memory.peak_bytes = peak_bytes
    trained = Trained((seconds, seconds, 3 * seconds), other_seconds=seconds)
    return Size(factor, rows, 1.0, {"tensorflow": trained, "pytorch": trained}, memory)


@pytest.mark.parametrize(
    ("row_microseconds", "peak_bytes", "missed"),
    [
        (11.9, 119, set()),
        (12.1, 119, {"training", "encoding"}),
        (11.9, 121, {"memory"}),
    ],
)
def test_more_than_a_fifth_more_a_row_or_of_memory_is_no_goal_met(
    row_microseconds, peak_bytes, missed
):
    sizes = [size(1, 10, 50), size(10, 10, 100), size(30, row_microseconds, peak_bytes)]
    figures = scale_figures(sizes, 100.0)
    not_met = [figure.name for figure in figures if figure.met is False]
    assert {
        word for word in ("training", "encoding", "memory") if word in " ".join(not_met)
    } == missed
    assert len([figure for figure in figures if figure.has_goal]) == 10


def test_a_run_that_takes_more_than_ten_minutes_is_no_goal_met():
    figures = scale_figures([size(1, 10, 100), size(30, 10, 100)], 601.0)
    assert [figure.name for figure in figures if figure.met is False] == ["whole benchmark"]


def test_help_says_what_it_does():
    command = [sys.executable, "-m", "benchmarks.scale", "--help"]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)
    for word in ("--quick", "--formats", "--json", "Exit code", "make bench-scale"):
        assert word in done.stdout


def test_a_disk_without_room_is_told_before_anything_is_written(monkeypatch, capsys):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(2, 1, 10**9))
    assert scale.main(["--json", "never.json"]) == 2
    assert "has 1.0 GB free; this needs 12.4 GB" in " ".join(capsys.readouterr().out.split())


def test_our_own_formats_hold_every_row(tmp_path: Path):
    """TFRecord needs TensorFlow, and is left to the command."""
    split = Split({"x": np.arange(30, dtype=np.float32), "w": np.array(["é"] * 30)}, np.arange(30))
    rows = split.rows(np.arange(100) % 30)
    for name, write, read in (
        ("shards", formats.write_shards, formats.read_shards),
        ("npz", formats.write_npz, formats.read_npz),
    ):
        (tmp_path / name).mkdir()
        write(tmp_path / name, rows)
        assert read(tmp_path / name) == 100
