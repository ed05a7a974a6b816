"""Pin what ``*.in`` allow, for Python 3.11 to 3.13 on every system: ``python requirements/lock.py``.

The pins name no index, and not the CUDA packages: the default build of torch asks for exactly the ones it needs,
and a CPU build asks for none.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
CUDA = ("cuda-", "nvidia-", "triton")


def compile_pins(name: str, left_out: list[str], universal: bool = True) -> list[str]:
    """Write ``<name>.txt`` from ``<name>.in``; the names of the packages in it.

    Args:
        name: of both files, without their ends.
        left_out: packages that are not to be named.
        universal: for every system and Python; else for Python 3.11 on this one.
    """
    command = [
        str(Path(sys.executable).with_name("uv")),
        "pip",
        "compile",
        "--quiet",
        *(["--universal"] if universal else []),
    ]
    command += [
        "--python-version",
        "3.11",
        "--no-header",
        "--no-emit-find-links",
        "--no-emit-index-url",
    ]
    for package in left_out:
        command += ["--no-emit-package", package]
    target = HERE / f"{name}.txt"
    subprocess.run([*command, f"{name}.in", "-o", target.name], cwd=HERE, check=True)
    return [line.partition("==")[0] for line in target.read_text().splitlines() if "==" in line]


def main() -> None:
    for name in ("main", "dev"):
        found = compile_pins(name, [])
        compile_pins(name, [package for package in found if package.startswith(CUDA)])
    compile_pins("tfx-glibc2.39", [])
    # Its wheels end at Python 3.11.
    compile_pins("tfx", [], universal=False)


if __name__ == "__main__":
    main()
