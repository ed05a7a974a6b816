"""Which models are asked for a row of zeros while they are loaded, and what that decides.

Those that remember it, and so must not be, are in ``test_state_after_load.py``.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.servers

WRITER = Path(__file__).parents[1] / "ordinary_model_writer.py"
LOADER = """
import json, psutil, sys
from pathlib import Path
from serving.tfserving.embedded.graph.saved_model import Servable, load_servable
from serving.tfserving.embedded.graph.tensorflow_session import SessionOptions

asked, kept, run, process = [], [], Servable.run, psutil.Process()

def counting(self, signature, inputs):
    asked.append(self.name)
    return run(self, signature, inputs)

def load(folder, threads=0):
    options = SessionOptions(intra_op_threads=threads)
    kept.append(load_servable(folder.name, 1, folder, frozenset({"serve"}), options))

def threads_of(folder, threads=0):
    def added():
        before = process.num_threads()
        load(folder, threads)
        return process.num_threads() - before
    return min(added() for _ in range(5))

Servable.run = counting
for folder in Path(sys.argv[1]).iterdir():
    load(folder)
threads = [threads_of(Path(sys.argv[1], "cond"), wanted) for wanted in (0, 1, 2)]
print(json.dumps({"asked": asked, "threads": threads}))
"""
NAMES = (
    "dense",
    "lstm",
    "string_lookup",
    "table",
    "cond",
    "while_loop",
    "checked",
    "drawn_from_a_seed",
    "device_index",
    "xla_module",
    "tensor_array",
    "guarantee_const",
)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Names of the models that were asked, and how many threads a quick one adds.

    The latter where nothing is said of threads, where one is wanted within an operation, and where two are.
    """
    folder = tmp_path_factory.mktemp("ordinary")
    for command in ([str(WRITER)], ["-c", LOADER]):
        done = subprocess.run(
            [sys.executable, *command, str(folder)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("name", NAMES)
def test_a_model_that_remembers_nothing_is_asked(loaded: dict[str, Any], name: str) -> None:
    assert name in loaded["asked"]


def test_others_are_not(loaded: dict[str, Any]) -> None:
    assert set(loaded["asked"]) == set(NAMES)


def test_a_quick_model_gets_one_thread(loaded: dict[str, Any]) -> None:
    unsaid, one, two = loaded["threads"]
    assert one < two
    assert unsaid == one
