"""The framework folders are twins, frameworks stay where they belong, and imports point one way.

Everything but the last test reads source text: no process may hold both frameworks.
"""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent
HOME = PROJECT / "models/frameworks"
TWINS = ("tensorflow", "pytorch")
PROTOCOLS = {
    "training": "TrainingVerbs",
    "export": "ExportVerbs",
    "runtime": "RuntimeVerbs",
    "runners": "RunnerVerbs",
}
NETWORKS = ("keras.Model", "nn.Module")
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)

Signatures = dict[str, list[str]]
"""By function: a line per parameter, and the last one for what is returned."""


def signature_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    """``kind name: annotation [has a default]`` per parameter; each twin's network is ``Network``."""
    arguments = function.args
    positional = [*arguments.posonlyargs, *arguments.args]
    defaults = [None] * (len(positional) - len(arguments.defaults)) + [*arguments.defaults]
    lines = [
        _line("positional-only" if each in arguments.posonlyargs else "plain", each, default)
        for each, default in zip(positional, defaults, strict=True)
        if each.arg != "self"
    ]
    lines += [_line("*", arguments.vararg, None)] if arguments.vararg else []
    lines += [
        _line("keyword-only", each, default)
        for each, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    ]
    lines += [_line("**", arguments.kwarg, None)] if arguments.kwarg else []
    return [*lines, f"-> {_text(function.returns)}"]


def _line(kind: str, argument: ast.arg, default: ast.expr | None) -> str:
    optional = " = ..." if default is not None else ""
    return f"{kind} {argument.arg}: {_text(argument.annotation)}{optional}"


def _text(annotation: ast.expr | None) -> str:
    text = "nothing" if annotation is None else ast.unparse(annotation)
    return "Network" if text in NETWORKS else text


def public(body: list[ast.stmt], prefix: str = "") -> Signatures:
    """The public functions of a module, and the public methods of its public classes."""
    found: Signatures = {}
    for node in body:
        if isinstance(node, FUNCTIONS) and not node.name.startswith("_"):
            found[prefix + node.name] = signature_of(node)
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            found |= public(node.body, f"{node.name}.")
    return found


def protocol_verbs(module: str) -> Signatures:
    """What ``models/framework.py`` asks of that module of a framework."""
    tree = ast.parse((PROJECT / "models/framework.py").read_text())
    (protocol,) = (
        node
        for node in tree.body
        if isinstance(node, ast.ClassDef) and node.name == PROTOCOLS[module]
    )
    return public(protocol.body)


def differences(home: Path) -> list[str]:
    """How the twins in ``home`` differ from one another and from their protocol; empty if they are twins."""
    names = [{path.name for path in (home / twin).glob("*.py")} for twin in TWINS]
    found = [f"only one twin has {name}" for name in sorted(names[0] ^ names[1])]
    for module in PROTOCOLS:
        paths = [home / twin / f"{module}.py" for twin in TWINS]
        if not all(path.exists() for path in paths):
            found.append(f"{module}.py is missing")
            continue
        sides = [public(ast.parse(path.read_text()).body) for path in paths]
        found += [
            f"{module}.{name}: {sides[0][name]} against {sides[1][name]}"
            for name in sorted(set(sides[0]) & set(sides[1]))
            if sides[0][name] != sides[1][name]
        ]
        for twin, side in zip(TWINS, sides, strict=True):
            found += _departures(f"{twin}/{module}", protocol_verbs(module), side)
    return found


def _departures(owner: str, verbs: Signatures, side: Signatures) -> Iterator[str]:
    for name, wanted in verbs.items():
        if name not in side:
            yield f"{owner} lacks {name}"
        elif not _fits(wanted, side[name]):
            yield f"{owner}.{name} is {side[name]}, the protocol says {wanted}"


def _fits(wanted: list[str], found: list[str]) -> bool:
    """The protocol's ``Any`` stands for whatever a twin says there."""
    patterns = [re.escape(line).replace("Any", r"[\w.]+") for line in wanted]
    return len(wanted) == len(found) and all(
        re.fullmatch(pattern, line) for pattern, line in zip(patterns, found, strict=True)
    )


def test_the_framework_folders_are_twins():
    assert differences(HOME) == []


def test_every_verb_is_asked_for_by_a_protocol():
    assert set(protocol_verbs("training")) >= {"build", "train", "load_weights", "read_weights"}
    assert set(protocol_verbs("export")) == {"export", "write_noop"}
    assert set(protocol_verbs("runners")) == {"runners"}
    assert set(protocol_verbs("runtime")) == {"prepare", "label", "open_artifact"}


@pytest.mark.parametrize(
    ("file", "was", "becomes", "told"),
    [
        ("pytorch/runtime.py", "threads: int, seed", "workers: int, seed", "prepare"),
        ("pytorch/runtime.py", "threads: int, seed: int", "threads: int, *, seed: int", "prepare"),
        ("tensorflow/runtime.py", "seed: int)", "seed: float)", "prepare"),
        ("tensorflow/runtime.py", "seed: int)", "seed: int = 0)", "prepare"),
        ("pytorch/runtime.py", "def label() -> str", "def label() -> bytes", "label"),
        ("pytorch/export.py", "calibration: Split,", "rows: Split,", "export"),
        ("tensorflow/training.py", "def read_weights(", "def get_weights(", "read_weights"),
        ("pytorch/training.py", "(self, inputs: Tensors)", "(self, inputs: dict)", "predict"),
    ],
)
def test_a_changed_signature_is_noticed(tmp_path: Path, file, was, becomes, told):
    copy = _copy(tmp_path)
    text = (copy / file).read_text()
    assert was in text
    (copy / file).write_text(text.replace(was, becomes, 1))
    found = differences(copy)
    assert found
    assert all(told in each for each in found)


def test_a_signature_changed_on_both_sides_departs_from_the_protocol(tmp_path: Path):
    copy = _copy(tmp_path)
    for twin in TWINS:
        path = copy / twin / "runtime.py"
        path.write_text(path.read_text().replace("def prepare(threads:", "def prepare(cores:", 1))
    assert [each.partition(" is ")[0] for each in differences(copy)] == [
        "tensorflow/runtime.prepare",
        "pytorch/runtime.prepare",
    ]


def test_a_file_that_only_one_twin_has_is_noticed(tmp_path: Path):
    copy = _copy(tmp_path)
    (copy / "pytorch/compile.py").write_text("")
    (copy / "tensorflow/runtime.py").unlink()
    assert differences(copy) == [
        "only one twin has compile.py",
        "only one twin has runtime.py",
        "runtime.py is missing",
    ]


def _copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(HOME, tmp_path / "frameworks"))


# ---- who may import what ----------------------------------------------------------------------------------------


def imports_of(path: Path) -> set[str]:
    """Absolute names of all modules that a file imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def offenders(package: str, forbidden: tuple[str, ...]) -> list[str]:
    return [
        f"{path.relative_to(PROJECT)} imports {name}"
        for path in sorted((PROJECT / package).rglob("*.py"))
        for name in sorted(imports_of(path))
        if name.split(".")[0] in forbidden
    ]


@pytest.mark.parametrize(
    ("package", "forbidden"),
    [("models", ("serving", "pipelines")), ("serving", ("pipelines",))],
)
def test_imports_point_one_way(package, forbidden):
    assert offenders(package, forbidden) == []


def test_models_know_no_orchestrator_no_container_no_network():
    forbidden = ("prefect", "docker", "httpx", "grpc", "aiohttp", "requests", "urllib")
    assert offenders("models", forbidden) == []


INSIDE_SERVERS = ("serving.torchserve.handler", "serving.tfserving.embedded")
"""These run in processes of their own; nobody else imports them but for a name."""

INSIDE_TFX = "pipelines.tfx.inside"
"""Runs in TFX's own environment."""

IMPORT_ALL = """
import importlib, json, sys
found = {}
for name in json.loads(sys.argv[1]):
    importlib.import_module(name)
    loaded = [each for each in ("tensorflow", "keras", "torch") if each in sys.modules]
    if loaded:
        found[name] = loaded
        break
print(json.dumps(found))
"""


def test_importing_our_modules_brings_in_no_framework(tmp_path: Path):
    names = [
        name
        for package in ("models", "serving", "pipelines")
        for name in _module_names(package)
        if not name.startswith(("models.frameworks.", "models.cases.", f"{INSIDE_SERVERS[1]}."))
        and not name.endswith("__main__")
        and name not in INSIDE_SERVERS
        and not name.startswith(f"{INSIDE_TFX}.")
    ]
    assert {"models.worker", "serving.endpoints", "pipelines.flow"} <= set(names)
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, json.dumps(names)],
        cwd=PROJECT,
        env={**os.environ, "PREFECT_HOME": str(tmp_path), "TWINSERVE_STATE": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {}


def _module_names(package: str) -> list[str]:
    paths = sorted((PROJECT / package).rglob("*.py"))
    dotted = (".".join(path.relative_to(PROJECT).with_suffix("").parts) for path in paths)
    return [name.removesuffix(".__init__") for name in dotted]
