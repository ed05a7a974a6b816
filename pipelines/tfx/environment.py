"""TFX's own environment, ``.venv-tfx`` in the checkout: made when a stage of TFX is first needed.

TFX pins numpy, protobuf and TensorFlow too far back for the rest. Wheels of TFX since 1.17 need glibc 2.39; on an
older system the last one before that is installed. The same code calls both.
"""

from __future__ import annotations

import fcntl
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from models.artifact import digest_of, storage_errors
from models.errors import EnvironmentMissing

PROJECT = Path(__file__).resolve().parents[2]
HOME = PROJECT / ".venv-tfx"
STAMP = ".ready"
"""Holds the digest of the pins it was made from; without it, the environment is not whole."""
REQUIREMENTS = PROJECT / "requirements"
NEW_GLIBC, NEW_PINS = (2, 39), "tfx-glibc2.39.txt"
OLD_PYTHON, OLD_PINS = (3, 11), "tfx.txt"
LOG_LINES = 15

Progress = Callable[[str], None]


def tfx_python(progress: Progress = lambda _: None, home: Path = HOME) -> Path:
    """The Python of TFX's environment, which is made first where it is missing or its pins have changed.

    Two runs at once make it once: the second one waits for the first.

    Args:
        progress: told what is being done, a sentence at a time.
        home: its folder.

    Raises:
        EnvironmentMissing: it cannot be made; nothing is left of the attempt.
        StorageError: the folder cannot be written.
    """
    if not is_ready(home):
        with storage_errors(home), _alone(progress):
            if not is_ready(home):
                _make(home, progress)
    return _python(home)


def is_ready(home: Path = HOME) -> bool:
    """Whether the environment is whole and of today's pins."""
    stamp = home / STAMP
    return stamp.exists() and stamp.read_text() == digest_of(pins()) and _python(home).exists()


def pins() -> Path:
    """The file of pins for this system's C library."""
    return REQUIREMENTS / (NEW_PINS if _glibc() >= NEW_GLIBC else OLD_PINS)


def _make(home: Path, progress: Progress) -> None:
    uv = _uv()
    progress(f"Making {home.name} for TFX, about 3 GB, from {pins().name}.")
    shutil.rmtree(home, ignore_errors=True)
    try:
        _run([uv, "venv", "--quiet", "--python", _base(), str(home)])
        # A virtual environment's programs name its place, so it is made where it stays; the stamp comes last.
        install = [uv, "pip", "install", "--quiet", "--python", str(_python(home))]
        _run([*install, "-r", str(pins())])
        (home / STAMP).write_text(digest_of(pins()))
    except BaseException:
        shutil.rmtree(home, ignore_errors=True)
        raise
    progress(f"{home.name} is ready.")


def _run(command: list[str]) -> None:
    done = subprocess.run(
        command, cwd=PROJECT, env=_environment(), capture_output=True, text=True, check=False
    )
    if done.returncode:
        tail = "\n".join(done.stderr.splitlines()[-LOG_LINES:])
        raise EnvironmentMissing(
            f"TFX's environment cannot be installed: `{Path(command[0]).name} {command[1]}` ended with "
            f"{done.returncode}.",
            f"{tail}\nTry `make setup-tfx`.",
        )


def _environment() -> dict[str, str]:
    """pip reads PIP_FIND_LINKS and uv does not; hand it on."""
    links = os.environ.get("PIP_FIND_LINKS")
    return {**({"UV_FIND_LINKS": links} if links else {}), **os.environ}


def _base() -> str:
    """The Python to make it with: ours where TFX has wheels for it, else one that uv finds or fetches."""
    return (
        sys.executable if pins().name != OLD_PINS or sys.version_info[:2] == OLD_PYTHON else "3.11"
    )


def _uv() -> str:
    uv = Path(sys.executable).with_name("uv")
    found = str(uv) if uv.exists() else shutil.which("uv")
    if found is None:
        raise EnvironmentMissing(
            "TFX's environment needs uv, and it is not installed.", "Run `make setup`."
        )
    return found


def _python(home: Path) -> Path:
    return home / "bin" / "python"


def _glibc() -> tuple[int, ...]:
    name, version = platform.libc_ver()
    return tuple(int(part) for part in version.split(".")) if name == "glibc" else ()


@contextmanager
def _alone(progress: Progress) -> Iterator[None]:
    with pins().open() as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress("Another run is making TFX's environment; waiting for it.")
            fcntl.flock(held, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    try:
        print(tfx_python(print))
    except EnvironmentMissing as error:
        sys.exit(str(error))
