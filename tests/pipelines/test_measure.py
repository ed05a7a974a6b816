"""A wrong answer under load voids the figures of its endpoint."""

from __future__ import annotations

from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from pipelines import measure
from pipelines.facts import Check, LoadFacts, Measurements, Outcome, ScenarioFacts, ThroughputFacts
from pipelines.measure import judge_measurements
from pipelines.measuring.table import print_load
from pipelines.report.marks import length_mark
from serving.load.job import QUICK, LoadPlan


def scenario(server: str, protocol: str, wrong: int = 0) -> ScenarioFacts:
    return ScenarioFacts(
        server=server,
        protocol=protocol,  # type: ignore[arg-type]
        requests=600,
        wrong=wrong,
        first_problem="row 3" if wrong else "",
        scenario="SingleStream",
        requests_per_second=600,
    )


def throughput(server: str, protocol: str, wrong: int = 0) -> ThroughputFacts:
    return ThroughputFacts(
        server=server,
        protocol=protocol,  # type: ignore[arg-type]
        clients=4,
        requests=1400,
        seconds=1,
        wrong=wrong,
        requests_per_second=1400,
    )


def load_of(*rows: ScenarioFacts | ThroughputFacts, **more: Any) -> LoadFacts:
    return LoadFacts(
        quick=True,
        engine="MLPerf LoadGen",
        seconds_per_scenario=1,
        windows=3,
        seed=1,
        scenarios=[row for row in rows if isinstance(row, ScenarioFacts)],
        throughput=[row for row in rows if isinstance(row, ThroughputFacts)],
        **more,
    )


def judged(*rows: ScenarioFacts | ThroughputFacts) -> list[Check]:
    return judge_measurements(Measurements(measured=datetime.now(UTC), load=load_of(*rows)))


def test_right_answers_pass_with_their_number() -> None:
    (check,) = judged(scenario("TorchServe", "REST"), throughput("TorchServe", "REST"))
    assert check.outcome is Outcome.PASS
    assert (check.subject, check.figure) == ("TorchServe · REST", "0 wrong of 2,000")


def test_a_wrong_answer_fails_its_own_endpoint_and_no_other() -> None:
    checks = judged(
        scenario("TorchServe", "REST"),
        scenario("TorchServe", "gRPC"),
        scenario("TF Serving", "REST", wrong=1),
        throughput("TorchServe", "REST"),
        throughput("TorchServe", "gRPC", wrong=3),
        throughput("TF Serving", "REST"),
    )
    assert {check.subject: (check.outcome, check.figure) for check in checks} == {
        "TorchServe · REST": (Outcome.PASS, "0 wrong of 2,000"),
        "TorchServe · gRPC": (Outcome.FAIL, "3 wrong of 2,000"),
        "TF Serving · REST": (Outcome.FAIL, "1 wrong of 2,000"),
    }


def test_a_wrong_answer_at_an_offered_load_fails_too() -> None:
    load = load_of(scenario("TorchServe", "REST"), sweep=[scenario("TorchServe", "REST", wrong=2)])
    (check,) = judge_measurements(Measurements(measured=datetime.now(UTC), load=load))
    assert (check.outcome, check.figure) == (Outcome.FAIL, "2 wrong of 1,200")
    assert check.detail == "row 3"


def test_nothing_measured_is_nothing_judged() -> None:
    assert judged() == []
    assert judge_measurements(Measurements(measured=datetime.now(UTC))) == []


class Space:
    """As much of a workspace as is asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def facts_path(self, number: int, stage: str) -> Path:
        return self._folder / f"{number}-{stage}.json"


@pytest.mark.parametrize(
    ("digest", "quick", "taken"),
    [("the same", False, True), ("another", False, False), ("the same", True, False)],
)
def test_a_kept_measurement_of_the_same_is_taken_and_no_other(
    digest: str, quick: bool, taken: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measure, "measurement_digest", lambda *_: "the same")
    load = load_of().model_copy(update={"quick": quick})
    kept = Measurements(measured=datetime.now(UTC), digest=digest, load=load)
    space: Any = Space(tmp_path)
    manifest: Any = SimpleNamespace(version=2)
    started: Any = None
    assert measure.kept_measurement(space, manifest, started) is None
    (tmp_path / "2-measure.json").write_text(kept.model_dump_json())
    assert (measure.kept_measurement(space, manifest, started) == kept) is taken
    if taken:
        assert measure.measure(space, manifest, started, QUICK, kept) is kept


def test_a_measurement_of_an_older_program_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "2-measure.json").write_text('{"measured": "2024-01-01", "gone": 1}')
    space: Any = Space(tmp_path)
    assert measure.kept_measurement(space, SimpleNamespace(version=2), None) is None  # type: ignore[arg-type]


class Servers:
    """Nothing that runs."""

    servers = ()


@pytest.mark.parametrize("seconds", [3, 31, 600])
def test_a_measurement_is_taken_only_for_as_long_as_it_lasted(
    tmp_path: Path, seconds: float
) -> None:
    manifest: Any = SimpleNamespace(version=2, artifacts=[])
    space: Any = Space(tmp_path)
    started: Any = Servers()
    plan = LoadPlan.full(seconds)
    told = {"quick": False, "short": plan.short}
    for said, taken in ((plan.windows * plan.stream_seconds, True), (600.1, False)):
        load = load_of().model_copy(update=told | {"seconds_per_scenario": said})
        digest = measure.measurement_digest(manifest, started, plan)
        kept = Measurements(measured=datetime.now(UTC), digest=digest, load=load)
        (tmp_path / "2-measure.json").write_text(kept.model_dump_json())
        assert (measure.kept_measurement(space, manifest, started) == kept) is taken


def test_a_short_run_says_that_it_is_not_by_the_rule() -> None:
    console = Console(width=80, record=True, file=StringIO())
    short = load_of().model_copy(
        update={"quick": False, "short": True, "seconds_per_scenario": 30, "windows": 6}
    )
    print_load(console, short)
    assert "SHORT: 30 s a scenario, 5 s a window; not by MLPerf's rule" in console.export_text()
    assert [mark.word for mark in length_mark(short)] == ["SHORT"]
    assert [mark.word for mark in length_mark(load_of())] == ["QUICK"]
