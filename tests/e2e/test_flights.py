"""The whole flow on raw rows of words, numbers and gaps: a sample of the flights."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Any

import pytest

from models.formats import Format
from pipelines.facts import Outcome
from pipelines.settings import PROJECT
from pipelines.tfx.environment import is_ready

pytestmark = [pytest.mark.e2e, pytest.mark.servers, pytest.mark.slow]

SAMPLE = "4000"
MORE_STEPS = ("--epochs", "12", "--batch-size", "64", "--learning-rate", "0.001")
"""A small sample has too few batches for the case's own hyper-parameters."""


@pytest.fixture(scope="module")
def place(lasting_place: Callable[..., Any]) -> Any:
    made = lasting_place()
    made.environment["TWINSERVE_SAMPLE"] = SAMPLE
    made.environment["TWINSERVE_TFX"] = str(is_ready())  # .ci/run installs it before
    return made


def test_the_whole_flow_runs_and_keeps_up_with_the_baseline(place: Any) -> None:
    done = place.run("demo", "--case", "flights", *MORE_STEPS).succeeded()
    done.said("Both may ship", "quality: 2 passed", "ROC AUC")
    report = place.report("flights")
    with_tfx = is_ready()
    outcomes = {check.outcome for check in report.checks if check.stage in ("validate", "evaluate")}
    assert outcomes == {Outcome.PASS if with_tfx else Outcome.WARNING}
    assert {tensor.dtype for tensor in report.inputs} == {"float32", "string"}
    assert [facts.framework for facts in report.quality] == ["tensorflow", "pytorch", None]
    assert {facts.rows for facts in report.quality} == {1009}
    assert {artifact.format for artifact in report.artifacts} == set(Format) - {
        Format.TFLITE_INT8,
        Format.ONNX,
    }
    assert [absent.format for absent in report.absent] == [Format.TFLITE_INT8, Format.ONNX]
    in_process = report.breakdown.in_process
    reasons = {each.runner: each.reason for each in in_process.absent}
    assert "four inputs are text" in reasons["ONNX Runtime"]
    assert reasons.keys() == {"torch.compile", "ONNX Runtime", "TFLite int8"}
    assert all(each.right for each in in_process.answers)
    assert {facts.request for facts in report.malformed} >= {
        "numbers for strings",
        "strings for numbers",
    }
    assert {facts.wrong for facts in report.load.rows} == {0}
    place.wait_for_quiet()


def test_a_second_run_takes_everything_that_is_unchanged(place: Any) -> None:
    parts = ("flights/data", "flights/constants", "flights/baseline", "flights/training")
    before = place.made(*parts)
    place.run("demo", "--case", "flights", *MORE_STEPS).succeeded().said("Both may ship")
    assert place.made(*parts) == before
    timings = {each.stage: each.cached for each in place.report("flights").timings.stages}
    assert timings["prepare_constants"] and timings["judge_quality"] and timings["measure"]


@pytest.mark.skipif(not is_ready(), reason="TFX is not installed: make setup-tfx")
def test_the_lineage_goes_from_the_version_to_the_months(place: Any) -> None:
    done = place.run("lineage", "1", "--case", "flights").succeeded()
    done.said("Version case flights, version 1", "ModelBlessing", "Transform", "Span")
    place.run("lineage", "7", "--case", "flights").failed_with("ArtifactMissing", "no lineage")


SPOILING = """

_healthy = load


def load(seed: int) -> Dataset:
    found = _healthy(seed)
    found.train.inputs["carrier"][::9] = "ZZ"
    return found
"""


@pytest.mark.skipif(not is_ready(), reason="TFX is not installed: make setup-tfx")
def test_rows_that_are_not_as_the_schema_says_end_the_run_before_any_training(
    new_place: Callable[..., Any],
) -> None:
    place = new_place(TWINSERVE_SAMPLE=SAMPLE)
    case = place.home / "cases/spoilt"
    ours = PROJECT / "models/cases/flights"
    shutil.copytree(ours, case, ignore=shutil.ignore_patterns("__pycache__"))
    facts = case / "case.py"
    facts.write_text(facts.read_text().replace('name="flights"', 'name="spoilt"'))
    with (case / "data.py").open("a") as data:
        data.write(SPOILING)
    place.environment["TWINSERVE_CASES_PATH"] = str(case.parent)
    done = place.run("demo", "--case", "spoilt", *MORE_STEPS)
    done.failed_with("DataAnomaly", "span 1, carrier", "ZZ", f"review {case / 'schema.pbtxt'}")
    assert not (place.artifacts / "spoilt/training").exists()
    assert not (place.artifacts / "spoilt/1").exists()
    place.wait_for_quiet()
