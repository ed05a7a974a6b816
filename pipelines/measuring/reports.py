"""Measurements that were kept: a ``report.json`` anywhere, or a version's own."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from models.errors import ArtifactCorrupt, ArtifactMissing
from pipelines.facts import RunReport
from pipelines.workspace import Workspace


def read_measured(space: Workspace, named: str) -> RunReport:
    """The report of a version, or of a file.

    Args:
        space: the case.
        named: a version's number, a ``report.json``, or a folder that holds one.

    Raises:
        ArtifactMissing: there is none.
        ArtifactCorrupt: it is none of ours.
    """
    path = _path(space, named)
    if not path.is_file():
        raise ArtifactMissing(
            f"There is no report in {path}.", "`make measure`, then `make report` write one."
        )
    try:
        return RunReport.model_validate_json(path.read_text())
    except (ValidationError, UnicodeDecodeError) as error:
        raise ArtifactCorrupt(
            f"{path} is not a report that this version of TwinServe has written: {_first(error)}.",
            "`make measure`, then `make report` write a new one.",
        ) from error


def _first(error: ValidationError | UnicodeDecodeError) -> str:
    """The first of what is wrong: ``schema_version: Input should be 2``."""
    if isinstance(error, UnicodeDecodeError):
        return "it is no text"
    first = error.errors()[0]
    place = ".".join(map(str, first["loc"]))
    return f"{place}: {first['msg']}" if place else first["msg"]


def _path(space: Workspace, named: str) -> Path:
    if named.isdigit():
        return space.version_folder(int(named)) / "report" / "report.json"
    path = Path(named)
    return path / "report.json" if path.is_dir() else path
