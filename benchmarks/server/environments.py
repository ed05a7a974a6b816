"""An environment of its own for each server, made with uv and kept until its requirements change."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from models.errors import ServerMissing
from pipelines.settings import PROJECT

REQUIREMENTS = Path(__file__).parent / "requirements"
MAKE_SECONDS = 900.0

# Those of our own servers are what goes into their images, in the versions that `.venv` holds.
_OURS = {"embedded": "tfserving-embedded-image.in", "torchserve": "torchserve-image.in"}
_PINS = PROJECT / "requirements" / "main.txt"


@dataclass(frozen=True)
class Environment:
    """A folder with a Python of its own."""

    folder: Path

    @property
    def python(self) -> Path:
        return self.program("python")

    def program(self, name: str) -> Path:
        return self.folder / "bin" / name


def make_environment(name: str, home: Path) -> Environment:
    """The environment of that name below ``home``, as it is or made now.

    Raises:
        ServerMissing: its packages cannot be installed; the hint is the end of what uv said.
    """
    environment, wanted = Environment(home / name), _requirements(name)
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in wanted)).hexdigest()
    mark = environment.folder / ".made-from"
    if mark.is_file() and mark.read_text() == digest:
        return environment
    shutil.rmtree(environment.folder, ignore_errors=True)
    home.mkdir(parents=True, exist_ok=True)
    _uv(name, "venv", "--python", sys.executable, str(environment.folder))
    pins = ("--constraint", str(wanted[1])) if len(wanted) > 1 else ()
    _uv(name, "pip", "install", "--python", str(environment.python), "-r", str(wanted[0]), *pins)
    mark.write_text(digest)
    return environment


def _requirements(name: str) -> tuple[Path, ...]:
    if name in _OURS:
        return (PROJECT / "requirements" / _OURS[name], _PINS)
    return (REQUIREMENTS / f"{name}.txt",)


def _uv(name: str, *arguments: str) -> None:
    command = [str(Path(sys.executable).with_name("uv")), "--quiet", *arguments]
    try:
        done = subprocess.run(
            command,
            env=_environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=MAKE_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ServerMissing(f"The environment of {name} cannot be made: {error}") from error
    if done.returncode:
        raise ServerMissing(
            f"The environment of {name} cannot be made.", "\n".join(done.stderr.splitlines()[-8:])
        )


def _environment() -> dict[str, str]:
    """uv does not read pip's variable of local wheels."""
    links = os.environ.get("PIP_FIND_LINKS")
    return {**os.environ, **({"UV_FIND_LINKS": links} if links else {})}
