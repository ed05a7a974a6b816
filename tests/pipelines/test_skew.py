"""Versions inside a server against those that made the files: fits, warns, or is refused."""

from __future__ import annotations

from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pytest

from models.artifact import Manifest
from models.errors import VersionSkew
from pipelines.facts import Outcome
from pipelines.skew import judge_versions, release_of
from serving.server import ServerSpec

TORCH, TENSORFLOW = version("torch").partition("+")[0], version("tensorflow")


class Claims:
    """A server that only says its versions."""

    def __init__(self, name: str, versions: dict[str, str]) -> None:
        self.spec = ServerSpec(name, f"Label of {name}", (), Path("/"), {}, lambda: None)  # type: ignore[arg-type,return-value]
        self._versions = versions

    def versions(self) -> dict[str, str]:
        return self._versions


@pytest.fixture
def manifest() -> Manifest:
    return Manifest(
        case="digits",
        version=1,
        created="2026-01-01T00:00:00+00:00",
        git_commit="abc",
        seed=7,
        hyperparameters={},
        data_digest="",
        input_digest="",
        framework_versions={
            "tensorflow": "Keras 3.15.1 on TensorFlow 2.21.0",
            "pytorch": "PyTorch 2.13.0+cpu",
        },
        data="",
        training={},
        artifacts=(),
    )


def outcomes(manifest: Manifest, name: str, **versions: str) -> list[Outcome]:
    found = {program.replace("_", " "): said for program, said in versions.items()}
    return [check.outcome for check in judge_versions(manifest, Claims(name, found))]  # type: ignore[arg-type]


TORCHSERVE = version("torchserve")


@pytest.mark.parametrize(
    ("inside", "outcome"),
    [
        ("2.13.0", Outcome.PASS),
        ("2.13.0+cpu", Outcome.PASS),
        ("2.13.2", Outcome.PASS),
        ("2.14.0", Outcome.WARNING),
        ("", Outcome.WARNING),
    ],
)
def test_torch(manifest, inside, outcome):
    assert outcomes(manifest, "torchserve", torch=inside, TorchServe=TORCHSERVE) == [
        outcome,
        Outcome.PASS,
    ]


def test_an_older_torch_is_refused_before_traffic_and_both_versions_are_named(manifest):
    with pytest.raises(VersionSkew, match=r"torch 2\.4\.0.*torch 2\.13\.0") as caught:
        outcomes(manifest, "torchserve", torch="2.4.0", TorchServe=TORCHSERVE)
    assert "make images" in caught.value.hint


def test_another_torchserve_is_a_warning(manifest):
    found = outcomes(manifest, "torchserve", torch="2.13.0", TorchServe="0.99.0")
    assert found == [Outcome.PASS, Outcome.WARNING]


@pytest.mark.parametrize(
    ("inside", "outcome"),
    [
        ("2.21.0", Outcome.PASS),
        ("2.22.1", Outcome.PASS),
        ("2.16.2", Outcome.WARNING),
        ("unknown", Outcome.WARNING),
    ],
)
def test_tensorflow(manifest, inside, outcome):
    assert outcomes(manifest, "tfserving", TensorFlow_Library=inside) == [outcome]


def test_another_major_tensorflow_is_refused(manifest):
    with pytest.raises(VersionSkew, match=r"1\.15\.0"):
        outcomes(manifest, "tfserving", TensorFlow_Library="1.15.0")


def test_the_real_servers_own_release_is_judged_too(manifest):
    api = version("tensorflow-serving-api")
    found = outcomes(
        manifest, "tfserving", TensorFlow_Library="2.21.0", TensorFlow_ModelServer=f"{api}-rc1+dev"
    )
    assert found == [Outcome.PASS, Outcome.PASS]
    found = outcomes(
        manifest, "tfserving", TensorFlow_Library="2.21.0", TensorFlow_ModelServer="2.20.0"
    )
    assert found == [Outcome.PASS, Outcome.WARNING]


def test_a_manifest_that_names_no_version_warns(manifest):
    nameless = replace(manifest, framework_versions={"tensorflow": "?", "pytorch": "?"})
    assert outcomes(nameless, "tfserving", TensorFlow_Library=TENSORFLOW) == [Outcome.WARNING]
    assert (
        outcomes(nameless, "torchserve", torch=TORCH, TorchServe=TORCHSERVE)[0] is Outcome.WARNING
    )


@pytest.mark.parametrize(
    ("said", "release"),
    [
        ("2.21.0-rc1+sha.1234", (2, 21, 0)),
        ("v5.36.0", (5, 36, 0)),
        ("2.13.0+cpu", (2, 13, 0)),
        ("unknown", ()),
        ("", ()),
    ],
)
def test_release_of(said, release):
    assert release_of(said) == release
