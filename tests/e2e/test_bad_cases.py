"""Bad commands, settings and cases: one message that says what to do, and nothing left behind."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipelines.settings import PROJECT

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("command", ["demo", "train", "serve"])
def test_an_unknown_case_is_named_with_those_that_exist(empty: Any, command: str) -> None:
    empty.run(command, "--case", "nope").failed_with("UnknownCase", "'nope'", "digits", "CASE=")


@pytest.mark.parametrize(
    "arguments",
    [
        ("fly",),
        ("demo", "--fast"),
        ("demo", "--epochs", "0"),
        ("demo", "--epochs", "many"),
        ("verify", "--version", "0"),
        ("measure", "--seconds", "1"),
    ],
    ids=" ".join,
)
def test_a_command_that_cannot_be_read_is_a_usage_error(
    empty: Any, arguments: tuple[str, ...]
) -> None:
    done = empty.run(*arguments)
    assert done.code == 2
    assert "Traceback" not in done.text
    assert "╭" not in done.text, "one message, no box"
    done.said("--help", arguments[-1] if len(arguments) == 1 else arguments[1])


@pytest.mark.parametrize(("command", "rate"), [("demo", "0"), ("demo", "nan"), ("train", "-1")])
def test_a_learning_rate_must_be_positive(empty: Any, command: str, rate: str) -> None:
    done = empty.run(command, "--learning-rate", rate)
    assert done.code == 2
    assert "Traceback" not in done.text
    done.said("--learning-rate", "above 0")
    assert not empty.artifacts.exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [("THREADS", "many"), ("TFSERVING_REST_PORT", "123456"), ("WORKER_TIMEOUT_SECONDS", "0")],
)
def test_a_setting_that_cannot_be_used_is_named(empty: Any, name: str, value: str) -> None:
    variable = f"TWINSERVE_{name}"
    done = empty.run("demo", **{variable: value})
    done.failed_with("SettingsError", variable, "python -m pipelines settings")


@pytest.mark.parametrize("command", ["verify", "measure", "serve"])
def test_there_must_be_a_version(empty: Any, command: str) -> None:
    empty.run(command).failed_with("ArtifactMissing", "'digits'", "make export")


def test_export_needs_a_training(empty: Any) -> None:
    empty.run("export").failed_with("ArtifactMissing", "not trained", "make train")


# ---- networks ------------------------------------------------------------------------------------------------

CaseWithChange = Callable[..., Any]


@pytest.fixture
def twisted(new_place: Callable[..., Any]) -> CaseWithChange:
    """``twisted("pytorch.py", old, new)``: a place whose case ``twisted`` is digits with that change."""

    def make(file: str, old: str, new: str) -> Any:
        place = new_place()
        place.environment["TWINSERVE_CASES_PATH"] = str(place.home / "cases")
        folder = place.home / "cases" / "twisted"
        shutil.copytree(
            PROJECT / "models/cases/digits", folder, ignore=shutil.ignore_patterns("__pycache__")
        )
        _change(folder / "case.py", 'name="digits"', 'name="twisted"')
        _change(folder / file, old, new)
        return place

    return make


def _change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1, f"{old!r} in {path}"
    path.write_text(text.replace(old, new))


def test_an_output_of_another_name_is_found_before_training(twisted: CaseWithChange) -> None:
    place = twisted("tensorflow.py", '{"logits": logits,', '{"scores": logits,')
    done = place.run("train", "--case", "twisted")
    done.failed_with("ContractMismatch", "Keras network", "scores", "logits", "tensorflow.py")
    _made_no_network(place)


def test_an_output_of_another_shape_is_found_before_training(twisted: CaseWithChange) -> None:
    place = twisted("pytorch.py", "nn.Linear(64, 10)", "nn.Linear(64, 9)")
    done = place.run("train", "--case", "twisted")
    done.failed_with("ContractMismatch", "PyTorch network", "(9,)", "(10,)", "pytorch.py")
    _made_no_network(place)


def test_a_layer_of_another_size_is_found_before_training(twisted: CaseWithChange) -> None:
    place = twisted("tensorflow.py", 'Dense(64, activation="relu"', 'Dense(48, activation="relu"')
    done = place.run("train", "--case", "twisted")
    done.failed_with("ContractMismatch", "Keras", "PyTorch", "48", "64", "same names and sizes")
    _made_no_network(place)


def test_networks_that_are_no_twins_are_found_before_training(twisted: CaseWithChange) -> None:
    place = twisted("tensorflow.py", "keras.layers.Rescaling(1 / 16)(image)", "image")
    done = place.run("demo", "--case", "twisted")
    done.failed_with("ChecksFailed", "not the same model", "scaling")
    _made_no_network(place)


def test_a_network_with_a_mistake_in_it_is_named_with_its_file(twisted: CaseWithChange) -> None:
    place = twisted("pytorch.py", "import torch\n", "import torhc\n")
    done = place.run("train", "--case", "twisted")
    done.failed_with("CaseError", "pytorch.py", "torhc")


def test_data_that_disagree_with_the_contract_are_found(twisted: CaseWithChange) -> None:
    place = twisted("data.py", ".astype(np.float32)", ".astype(np.float64)")
    done = place.run("train", "--case", "twisted")
    done.failed_with("CaseError", "float64", "float32", "image")
    assert list((place.artifacts / "twisted").rglob("*.npz")) == []


def test_a_case_without_one_of_its_files_is_named(twisted: CaseWithChange) -> None:
    place = twisted("case.py", "seed=7", "seed=8")
    (place.home / "cases/twisted/pytorch.py").unlink()
    done = place.run("train", "--case", "twisted")
    done.failed_with("CaseError", "pytorch.py", "bring-your-own-model")


def _made_no_network(place: Any) -> None:
    assert not any((place.artifacts / "twisted").glob("training/*"))
    assert not any((place.artifacts / "twisted").glob("[0-9]*"))
    assert place.half_written() == []
    place.wait_for_quiet()
