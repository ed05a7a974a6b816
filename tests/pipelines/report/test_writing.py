"""Reports on disk: whole or not at all."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from models.errors import StorageError
from pipelines.facts import RunReport
from pipelines.report import write_report
from pipelines.report.schema import report_schema

Make = Callable[[str], RunReport]
ROOT = Path(__file__).parents[3]


def test_writes_two_files_and_nothing_else(make: Make, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "report"
    assert write_report(make("empty"), folder) == folder / "index.html"
    assert sorted(path.name for path in folder.iterdir()) == ["index.html", "report.json"]


def test_full_disk_leaves_the_earlier_report(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_report(make("sample"), tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    written = 0

    def fill_up(handle: int) -> None:
        nonlocal written
        written += 1
        if written == 2:  # the first file fits, the second does not
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.fsync", fill_up)
    with pytest.raises(StorageError, match="No space left") as caught:
        write_report(make("failed"), tmp_path)
    assert caught.value.hint
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_folder_that_cannot_be_made(make: Make, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file", encoding="utf-8")
    with pytest.raises(StorageError, match="cannot be written"):
        write_report(make("empty"), tmp_path / "taken" / "report")


def test_committed_schema_is_current() -> None:
    stored = (ROOT / "docs" / "report.schema.json").read_text(encoding="utf-8")
    assert stored == report_schema(), (
        "run: python -m pipelines.report.schema > docs/report.schema.json"
    )


def test_schema_is_printed() -> None:
    printed = subprocess.run(
        [sys.executable, "-m", "pipelines.report.schema"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        timeout=120,
    )
    assert printed.stdout.decode() == report_schema()


def test_import_is_light() -> None:
    """The command line imports this package for every command; altair is for those that draw."""
    code = (
        "import sys, pipelines.report; print('altair' in sys.modules, 'vl_convert' in sys.modules)"
    )
    printed = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True, timeout=120
    )
    assert printed.stdout.split() == [b"False", b"False"]
