"""Both frameworks in their own processes: right runners are timed, a wrong file and a broken one are not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from models.artifact import Artifact
from models.stopwatch import TimingPlan
from pipelines.breakdown.facts import Breakdown, InProcess
from pipelines.breakdown.in_process import WITHOUT_ONNX, measure_in_process
from pipelines.breakdown.judging import judge_breakdown
from pipelines.facts import Outcome

pytestmark = pytest.mark.frameworks

PLAN = TimingPlan(
    batches=(1, 5),
    rounds=2,
    seconds=0.0,
    threads=(1, 2),
    leave_out={"torch.compile": "it takes too long here"},
)
SWAPS = {"TFLite float32": "tensorflow/model_int8.tflite", "ONNX": "pytorch/model.pt"}
"""Another model under a right digest, and a file that is no such file."""


@pytest.fixture(scope="module")
def found(trained) -> InProcess:
    artifacts = tuple(
        Artifact.of(each.framework, each.format, trained.version, SWAPS[each.format])
        if each.format in SWAPS
        else each
        for each in trained.manifest.artifacts
    )
    return measure_in_process(trained.space, replace(trained.manifest, artifacts=artifacts), PLAN)


def test_every_way_to_run_the_model_is_compared_and_timed(found):
    right = {(each.runner, each.threads) for each in found.answers if each.right}
    threads = next(each.threads for each in found.answers if each.runner == "PyTorch eager")
    own = ("Keras eager", "tf.function", "SavedModel", "PyTorch eager", "TorchScript")
    lite = [("TFLite int8", count) for count in (1, 2)]
    assert right == {*((name, threads) for name in own), *lite}
    timed = {(each.runner, each.threads, each.batch) for each in found.timings}
    assert timed == {(*each, size) for each in right for size in (1, 5)}
    assert all(each.p50_ms > 0 and each.calls >= 6 for each in found.timings)


def test_a_wrong_file_gets_no_figure(found):
    wrong = [each for each in found.answers if each.runner == "TFLite float32"]
    assert [(each.right, each.threads) for each in wrong] == [(False, 1), (False, 2)]
    assert all(each.max_abs is not None and each.max_abs > 1e-3 for each in wrong)
    checks = {check.subject: check for check in judge_breakdown(Breakdown(in_process=found))}
    assert checks["TFLite float32 in-process, 2 threads"].outcome is Outcome.FAIL
    assert checks["SavedModel in-process, 1 thread"].outcome is Outcome.PASS


def test_a_file_that_does_not_open_gets_no_figure_and_its_error_is_named(found):
    broken = [each for each in found.answers if each.runner == "ONNX Runtime"]
    assert len(broken) == 2
    assert all(not each.right and each.rows == 0 and each.detail for each in broken)


def test_what_is_not_timed_has_its_reason(found):
    assert [(each.runner, each.reason) for each in found.absent] == [
        ("torch.compile", "it takes too long here")
    ]
    assert WITHOUT_ONNX not in {each.reason for each in found.absent}
