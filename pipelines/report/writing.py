"""Puts a report on disk, whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from models.errors import StorageError
from pipelines.facts import RunReport

PAGE, DATA = "index.html", "report.json"


def write_report(report: RunReport, folder: Path) -> Path:
    """Write ``index.html`` and ``report.json``.

    Both are complete on disk beside their final names before either is renamed, so a full disk or a
    killed process leaves the earlier report as it was. ``index.html`` comes last: where it is, all is.

    Returns:
        the path of the page.

    Raises:
        StorageError: the disk is full, or the folder cannot be written.
    """
    from pipelines.report.page import render_page  # noqa: PLC0415  altair takes half a second

    contents = {
        DATA: report.model_dump_json(indent=2) + "\n",
        PAGE: render_page(report),
    }
    with _storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        _write_all(folder, contents)
    return folder / PAGE


def _write_all(folder: Path, contents: dict[str, str]) -> None:
    beside: dict[str, Path] = {}
    try:
        for name, text in contents.items():
            beside[name] = _write_beside(folder / name, text)
        for name, path in beside.items():
            path.replace(folder / name)
    finally:
        for path in beside.values():
            path.unlink(missing_ok=True)


def _write_beside(target: Path, text: str) -> Path:
    """A complete file next to ``target``; what a killed run left there is written over."""
    path = target.with_name(f".{target.name}.unfinished")
    try:
        with path.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        with suppress(OSError):
            path.unlink()
        raise
    return path


@contextmanager
def _storage_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"The report cannot be written to {folder}: {error.strerror or error}.",
            "Free some space, or choose a folder that you may write to.",
        ) from error
