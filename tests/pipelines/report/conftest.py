"""The sample reports and a browser, as fixtures."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pipelines.facts import RunReport


def _load(name: str) -> ModuleType:
    """A module beside this file, under a name of its own: pytest's importlib mode puts no test folder
    on the path."""
    spec = importlib.util.spec_from_file_location(
        f"report_tests_{name}", Path(__file__).with_name(f"{name}.py")
    )
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def make() -> Callable[[str], RunReport]:
    """``make("failed")`` builds that sample report, of ``sample.py`` or ``measured.py``."""
    samples, measured = _load("sample"), _load("measured")

    def build(name: str) -> RunReport:
        of_measured = getattr(measured, f"{name}_report", None)
        if of_measured:
            return of_measured(samples.sample_report())  # type: ignore[no-any-return]
        return getattr(samples, f"{name}_report")()  # type: ignore[no-any-return]

    return build


@pytest.fixture(scope="session")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A tab of a headless Chromium."""
    module = _load("browser")
    if module.chromium() is None:
        pytest.skip(f"no Chromium on the PATH (looked for {', '.join(module.NAMES)})")
    with module.browser(tmp_path_factory.mktemp("chromium")) as opened:
        yield opened
