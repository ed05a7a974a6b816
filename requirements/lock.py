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


def compile_pins(name: str, left_out: list[str]) -> list[str]:
    """Write ``<name>.txt`` from ``<name>.in``; the names of the packages in it."""
    command = [
        str(Path(sys.executable).with_name("uv")),
        "pip",
        "compile",
        "--quiet",
        "--universal",
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


if __name__ == "__main__":
    main()
