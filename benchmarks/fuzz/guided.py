"""The parsers under atheris, which looks for inputs that reach new code.

``python -m benchmarks.fuzz.guided PARSER CORPUS [libFuzzer's options]`` is the process of one parser:
libFuzzer ends it itself. atheris counts Python's branches, of modules that it has seen being imported.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.fuzz.inputs.input import Input
from benchmarks.fuzz.lanes.parsing import PROJECT

HOW_TO_INSTALL = "make setup-fuzz"

PARSERS = (
    "json_text",
    "predict_body",
    "number_body",
    "examples_body",
    "url_path",
    "tensor_proto",
    "command_line",
    "model_config",
    "batching_parameters",
)
"""Those of ``parsers`` that have branches of ours."""

_PACKAGE = "serving.tfserving.embedded"
_MOST_BYTES = 1024
_START_SECONDS = 60.0
_COVERED = re.compile(r"DONE\s+cov: (\d+)")
_RAISED = re.compile(r"^(\w*(?:Error|Exception|Interrupt)\b.*)$", re.M)


@dataclass(frozen=True)
class Guided:
    """What came of one parser.

    Attributes:
        covered: branches that were reached; None where libFuzzer did not say.
        wrong: what was raised; empty where nothing was.
        inputs: what led to it.
    """

    covered: int | None
    wrong: str
    inputs: tuple[Input, ...]


def is_installed() -> bool:
    """Whether there is atheris."""
    return importlib.util.find_spec("atheris") is not None


def run_guided(
    parser: str, seeds: Sequence[Input], runs: int, seed: int, deadline_seconds: float
) -> Guided:
    """Let atheris look for so many runs.

    Args:
        parser: a name of ``PARSERS``.
        seeds: inputs to begin with.
        runs: how many inputs.
        seed: of libFuzzer; not 0, which it takes for none.
        deadline_seconds: longest time for one input.
    """
    with tempfile.TemporaryDirectory() as name:
        corpus, kept = Path(name) / "corpus", Path(name) / "kept"
        for folder in (corpus, kept):
            folder.mkdir()
        for number, each in enumerate(seeds):
            (corpus / str(number)).write_bytes(each.content[:_MOST_BYTES])
        options = [
            f"-runs={runs}",
            f"-seed={seed + 1}",
            f"-max_len={_MOST_BYTES}",
            f"-timeout={int(deadline_seconds)}",
            f"-artifact_prefix={kept}/",
        ]
        command = [sys.executable, "-m", "benchmarks.fuzz.guided", parser, str(corpus), *options]
        said, failed = _run(command, _START_SECONDS + deadline_seconds + runs / 50)
        inputs = tuple(Input(parser, path.read_bytes()) for path in sorted(kept.iterdir()))
    covered = _COVERED.search(said)
    wrong = _reason(said) if failed or inputs else ""
    return Guided(int(covered[1]) if covered else None, wrong, inputs)


def _run(command: list[str], seconds: float) -> tuple[str, bool]:
    """What it said, and whether it ended otherwise than it should."""
    process = subprocess.Popen(
        command,
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        said, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        return f"no end after {seconds:.0f} s", True
    finally:
        process.kill()
        process.wait()
    return said, process.returncode != 0


def _reason(said: str) -> str:
    found = _RAISED.search(said)
    return found[1][:500] if found else said[-500:]


def main(arguments: Sequence[str]) -> None:
    """Fuzz one parser; does not return."""
    atheris = importlib.import_module("atheris")
    with atheris.instrument_imports(include=[_PACKAGE]):
        parsers = importlib.import_module("benchmarks.fuzz.parsers")
    logging.disable()
    name, corpus, *_ = arguments
    parser = parsers.make_parsers(Path(corpus).parent)[name]
    atheris.Setup([sys.argv[0], *arguments[1:]], lambda content: parsers.check(parser, content))
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])
