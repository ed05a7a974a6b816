"""What is read out of a run's report, and what follows for the goals."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.demo_figures import cached_figures, cold_figures, where_time_goes
from benchmarks.runs import DemoRun, Home, made_again
from pipelines.facts import RunReport, StageTiming

MakeReport = Callable[..., RunReport]


def stage(name: str, cached: bool = False, seconds: float = 1.0) -> StageTiming:
    return StageTiming(stage=name, seconds=seconds, cached=cached)


def run(report: RunReport | None, seconds: float = 20.0, exit_code: int = 0) -> DemoRun:
    return DemoRun(exit_code, seconds, None, report, (), "")


def test_an_unchanged_run_may_serve_and_check_but_not_make_again(make_report: MakeReport) -> None:
    report = make_report(
        [stage("train tensorflow", cached=True), stage("start_servers"), stage("assemble_version")]
    )
    assert made_again(report) == []


def test_a_stage_that_was_made_again_is_named(make_report: MakeReport) -> None:
    report = make_report(
        [stage("train tensorflow", cached=True), stage("export_framework pytorch")]
    )
    assert made_again(report) == ["export_framework pytorch"]
    figure = cached_figures(run(report))[-1]
    assert figure.met is False and "export_framework pytorch" in figure.note


def test_a_training_that_says_it_is_new_counts_as_made_again(make_report: MakeReport) -> None:
    report = make_report([stage("train tensorflow", cached=True)], cached=False)
    assert made_again(report) == ["training tensorflow", "training pytorch"]


@pytest.mark.parametrize(("wall", "met"), [(12.5, True), (12.6, False)])
def test_wall_time_against_critical_path(make_report: MakeReport, wall: float, met: bool) -> None:
    figures = cold_figures(run(make_report([stage("train pytorch")], wall=wall, path=10.0)))
    ratio = next(each for each in figures if "critical path" in each.name)
    assert ratio.value == pytest.approx(wall / 10) and ratio.met is met


def test_a_run_without_a_report_meets_nothing_but_its_time() -> None:
    figures = cached_figures(run(None, seconds=5.0, exit_code=1))
    met = {each.name: each.met for each in figures}
    assert met == {
        "demo, unchanged: wall time": True,
        "demo, unchanged: exit code": False,
        "demo, unchanged: made again": False,
    }


def test_time_outside_the_flow_is_told(make_report: MakeReport) -> None:
    report = make_report([stage("train pytorch", seconds=3.0)], wall=12.0)
    lines = where_time_goes("cold", run(report, seconds=20.0))
    assert any("train pytorch" in line and "3.0" in line for line in lines)
    assert "8.0" in lines[-1]


def test_the_newest_version_is_read(make_report: MakeReport, tmp_path: Path) -> None:
    home = Home(tmp_path)
    assert home.report("digits") is None
    for version in (2, 10):
        folder = home.artifacts / "digits" / str(version) / "report"
        folder.mkdir(parents=True)
        report = make_report([]).model_copy(update={"version": version})
        (folder / "report.json").write_text(report.model_dump_json())
    found = home.report("digits")
    assert found is not None and found.version == 10


def test_settings_of_the_user_do_not_reach_a_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TWINSERVE_THREADS", "64")
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:1/api")
    monkeypatch.setenv("TWINSERVE_STATE", "elsewhere")
    environment = Home(tmp_path).environment()
    assert "TWINSERVE_THREADS" not in environment and "PREFECT_API_URL" not in environment
    assert environment["TWINSERVE_STATE"] == str(tmp_path / "s")
