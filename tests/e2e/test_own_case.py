"""Bring your own model: the case that docs/bring-your-own-model.md shows, from a folder outside the project."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Any

import pytest

from models.formats import Format
from pipelines.settings import PROJECT

pytestmark = [pytest.mark.e2e, pytest.mark.servers, pytest.mark.slow]

EXAMPLE = PROJECT / "docs" / "examples" / "wine"


@pytest.fixture(scope="module")
def place(lasting_place: Callable[..., Any]) -> Any:
    """A place with a copy of the example in a home of cases of its own."""
    made = lasting_place()
    cases = made.home / "cases"
    shutil.copytree(EXAMPLE, cases / "wine", ignore=shutil.ignore_patterns("__pycache__"))
    made.environment["TWINSERVE_CASES_PATH"] = str(cases)
    return made


def test_the_example_is_four_short_files() -> None:
    files = {path.name: path for path in EXAMPLE.iterdir() if path.suffix == ".py"}
    assert set(files) == {"case.py", "data.py", "tensorflow.py", "pytorch.py"}
    assert all(len(path.read_text().splitlines()) <= 45 for path in files.values())


def test_the_whole_flow_runs_on_it(place: Any) -> None:
    place.run("demo", "--case", "wine").succeeded().said("Both may ship")
    report = place.report("wine")
    assert report.passed
    assert [tensor.name for tensor in report.inputs] == [
        "alcohol",
        "flavanoids",
        "colour",
        "hue",
        "proline",
    ]
    assert {artifact.format for artifact in report.artifacts} == set(Format)
    place.wait_for_quiet()


def test_it_is_listed_beside_ours(place: Any) -> None:
    place.run("cases").succeeded().said("digits: ", "wine: Wine growers")


def test_a_change_in_one_network_is_made_anew_in_that_framework_only(place: Any) -> None:
    place.run("train", "--case", "wine").succeeded()
    keras = place.made("wine/*/tensorflow-*", "wine/data")
    pytorch = place.made("wine/*/pytorch-*")
    source = place.home / "cases" / "wine" / "pytorch.py"
    source.write_text(source.read_text() + "\n# Nothing but a remark.\n")
    place.run("train", "--case", "wine").succeeded()
    place.run("export", "--case", "wine").succeeded()
    assert place.made("wine/*/tensorflow-*", "wine/data") == keras
    after = place.made("wine/*/pytorch-*")
    assert pytorch.items() < after.items()
    assert {name.split("/")[-3] for name in after.keys() - pytorch.keys()} == {
        "initial",
        "training",
        "exports",
    }
    assert (place.artifacts / "wine" / "2" / "manifest.json").exists()
