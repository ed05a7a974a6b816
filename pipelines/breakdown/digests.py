"""What the figures of a part with servers depend on."""

from __future__ import annotations

from typing import Any

from models.artifact import Manifest, digest_of_files, digest_of_parts
from pipelines.hardware import hardware, versions
from pipelines.launcher import choose_launcher
from pipelines.settings import PROJECT
from pipelines.workspace import Workspace


def served_digest(space: Workspace, manifest: Manifest, plan: Any) -> str:
    """Digest of files, servers and their sources, plan and machine.

    Args:
        space: the case.
        manifest: the version.
        plan: a dataclass.
    """
    launch = choose_launcher(space.settings)
    return digest_of_parts(
        sorted(artifact.sha256 for artifact in manifest.artifacts),
        [image.label for image in launch.images or ()],
        plan,
        digest_of_files(
            [*(PROJECT / "serving").rglob("*.py"), *(PROJECT / "pipelines/breakdown").glob("*.py")]
        ),
        sorted(versions().items()),
        sorted(hardware().items()),
    )
