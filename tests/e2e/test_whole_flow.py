"""``demo`` with the real TorchServe: everything is made once, and taken as it is the second time."""

from __future__ import annotations

from typing import Any

import pytest

from models.artifact import Manifest
from models.formats import Format
from pipelines.facts import Outcome

pytestmark = [pytest.mark.e2e, pytest.mark.servers, pytest.mark.slow]

MADE_ONCE = (
    "prepare_data",
    "initialise",
    "train",
    "export_framework",
    "verify_framework",
    "measure",
)
DONE_EACH_TIME = ("start_servers", "check_server", "check_across")


def test_the_first_run_makes_everything_and_passes(first_run: tuple[Any, Any]) -> None:
    finished, done = first_run
    done.succeeded().said("Both may ship", "Report: ")
    report = finished.report()
    assert report.passed
    assert {artifact.format for artifact in report.artifacts} == set(Format)
    version = finished.artifacts / "digits" / "1"
    for artifact in Manifest.read(version).artifacts:
        artifact.check(version)
    assert (version / "report" / "index.html").stat().st_size > 10_000
    assert finished.half_written() == []


def test_every_check_passes_or_is_a_known_shortfall(finished: Any) -> None:
    report = finished.report()
    short = [check for check in report.checks if check.outcome is not Outcome.PASS]
    # TorchServe 0.12 calls an unknown model INTERNAL over gRPC.
    assert {(check.subject, check.figure, check.outcome) for check in short} == {
        ("TorchServe 0.12.0 · gRPC", "INTERNAL", Outcome.SHORTFALL)
    }
    asked = {check.stage for check in report.checks}
    assert asked == {
        "same model",
        "train",
        "verify",
        "versions",
        "check",
        "cross-framework",
        "measure",
    }


def test_both_protocols_of_both_servers_were_checked_and_measured(finished: Any) -> None:
    report = finished.report()
    assert {(row.server, row.protocol) for row in report.load.one_client} == {
        (server.label, protocol) for server in report.servers for protocol in ("REST", "gRPC")
    }
    assert {row.clients for row in report.load.throughput} == {1, 4, 16}
    assert not any(row.wrong for row in report.load.rows)
    assert all(server.idle_bytes and server.loaded_bytes for server in report.servers)
    # Six malformed requests to each of four endpoints, and a good one after each.
    assert len(report.malformed) == 6 * 4
    assert all(row.recovered for row in report.malformed)


def test_the_demo_says_where_the_cost_comes_from(finished: Any) -> None:
    breakdown = finished.report().breakdown
    timed = {row.runner for row in breakdown.in_process.timings}
    assert timed >= {"Keras eager", "tf.function", "SavedModel", "TFLite int8"}
    assert timed >= {"PyTorch eager", "TorchScript", "ONNX Runtime"}
    assert [row.runner for row in breakdown.in_process.absent] == ["torch.compile"]
    assert breakdown.in_process.quick
    for row in breakdown.cold_start.rows:
        assert row.process_seconds > 0
        assert row.load_seconds > 0
        assert row.first_answer_seconds > 0
    assert breakdown.batching is None  # a sweep is left to `make measure`


def test_a_finished_run_leaves_no_process(finished: Any) -> None:
    finished.wait_for_quiet()


def test_a_second_run_makes_nothing_again_and_checks_the_servers_again(finished: Any) -> None:
    kept = ("digits/data", "digits/initial", "digits/training", "digits/exports", "digits/1/[mpt]*")
    before, first = finished.made(*kept), finished.report()
    with finished.lock:
        done = finished.run("demo").succeeded()
    assert finished.made(*kept) == before
    assert done.text.count("answers correctly after") == 2
    report = finished.report()
    cached = {timing.stage.partition(" ")[0]: timing.cached for timing in report.timings.stages}
    assert [name for name in MADE_ONCE if not cached[name]] == []
    assert [name for name in DONE_EACH_TIME if cached[name]] == []
    assert all(training.cached for training in report.training)
    assert report.passed
    assert report.version == first.version
    assert report.measured == first.measured
    assert report.breakdown.in_process == first.breakdown.in_process
    assert report.created > first.created
    finished.wait_for_quiet()
