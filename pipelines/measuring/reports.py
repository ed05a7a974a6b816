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
            f"{path} is not a report that this version of TwinServe has written.",
            str(error).splitlines()[0],
        ) from error


def _path(space: Workspace, named: str) -> Path:
    if named.isdigit():
        return space.version_folder(int(named)) / "report" / "report.json"
    path = Path(named)
    return path / "report.json" if path.is_dir() else path
