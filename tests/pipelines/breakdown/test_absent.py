"""What cannot be run here, or not for this case, says why."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from pipelines.settings import PROJECT

pytestmark = pytest.mark.frameworks

ASK = """
import json
from pathlib import Path
from models.case import load_case
from models.errors import CaseError
from models.frameworks.pytorch.export import write_onnx
from models.frameworks.pytorch.runners import runners, why_not_compiled
from models.runner import MissingRunner

digits, flights = (load_case(name).contract for name in ("digits", "flights"))
said = {"digits": why_not_compiled(digits), "flights": why_not_compiled(flights)}
offered = runners(None, digits, {}, (1, 2))
said["offered"] = [[each.name, isinstance(each, MissingRunner)] for each in offered]
try:
    write_onnx(None, flights, Path("model.onnx"))
except CaseError as error:
    said["onnx"] = str(error)
print(json.dumps(said))
"""


def ask(**environment: str) -> dict[str, Any]:
    """In a process of PyTorch's own."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", ASK],
        cwd=PROJECT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return said


def test_without_a_compiler_torch_compile_is_missing_and_says_so():
    said = ask(CXX="no-such-compiler")
    assert "there is no C++ compiler here (no-such-compiler)" in said["digits"]
    assert said["offered"] == [["PyTorch eager", False], ["torch.compile", True]]


def test_with_a_compiler_text_inputs_are_the_reason_and_onnx_refuses_them():
    said = ask(CXX=sys.executable)  # any program: whether it compiles shows when it is asked to
    assert said["digits"] == ""
    assert "compile anew for every new word" in said["flights"]
    assert said["offered"] == [["PyTorch eager", False], ["torch.compile", False]]
    assert "carrier, origin, dest, manufacturer: PyTorch has no tensors of text" in said["onnx"]
    assert 'absent={"ONNX": "<why>"}' in said["onnx"]
