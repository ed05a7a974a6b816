"""A few hundred inputs of each target against a real server; the whole run is ``make fuzz``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.fuzz import guided
from benchmarks.fuzz.__main__ import parse, plan_of, report, to_json
from benchmarks.fuzz.campaign import STRATEGIES, Campaign, without_guided
from benchmarks.fuzz.findings import Findings
from benchmarks.fuzz.inputs.making import make_inputs
from benchmarks.fuzz.inputs.texts import TEXTS
from benchmarks.fuzz.lanes import http
from benchmarks.fuzz.lanes.rpc import METHODS
from benchmarks.fuzz.parsers import NAMES
from benchmarks.fuzz.plan import SHARES, Plan, chunks_of, split
from benchmarks.fuzz.subject import Subject

needs_atheris = pytest.mark.skipif(not guided.is_installed(), reason="atheris is not installed")


@pytest.mark.servers
@pytest.mark.parametrize("target", STRATEGIES)
def test_a_target(subject: Subject, tmp_path: Path, target: str) -> None:
    plan = Plan(inputs=300, seed=11, targets=(target,), chunk=100)
    outcome = Campaign(subject, plan, Findings(tmp_path / "found"), print).run()
    assert [finding.to_json() for finding in outcome.findings.kept] == []
    assert outcome.sent == {target: 300}
    assert outcome.goods == 4 * len(subject.goods)
    assert not outcome.ended


@pytest.mark.servers
def test_time_is_up(subject: Subject, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The chunk that was begun is ended; what is printed and written says how far it came."""
    plan = Plan(inputs=100_000, targets=("urls",), chunk=20, seconds=0.01)
    outcome = Campaign(subject, plan, Findings(tmp_path / "found"), print).run()
    assert 0 < outcome.sent.total() < 1000
    report(outcome, plan)
    said = capsys.readouterr().out
    assert "0.01 seconds are over" in said
    assert "0 findings" in said
    written = json.loads(json.dumps(to_json(outcome, plan)))
    assert written["sent"] == dict(outcome.sent)
    assert written["ended"] == "0.01 seconds are over"


@needs_atheris
def test_guided() -> None:
    seeds = [each for each in make_inputs(TEXTS, 100, 1) if each.kind == "json_text"]
    found = guided.run_guided("json_text", seeds, 2000, 0, 20)
    assert found.wrong == ""
    assert found.covered is not None
    assert found.covered > 50


@pytest.mark.parametrize("target", STRATEGIES)
def test_a_seed_makes_the_same_inputs_again(target: str) -> None:
    made = [make_inputs(STRATEGIES[target], 60, seed, target) for seed in (1, 1, 2)]
    assert made[0] == made[1]
    assert made[0] != made[2]
    assert [len(set(each)) for each in made] == [60, 60, 60]
    assert {each.kind for each in made[0]} <= {*http.KINDS, *METHODS, *NAMES}


def test_kinds_say_the_lane() -> None:
    """What was kept is sent again by its file's ending."""
    kinds = [*http.KINDS, *METHODS, *NAMES]
    assert len(set(kinds)) == len(kinds)
    assert set(guided.PARSERS) <= set(NAMES)


@pytest.mark.parametrize("total", [1, 7, 100, 100_000])
def test_nothing_is_lost_to_shares(total: int) -> None:
    parts = split(total, tuple(SHARES))
    assert sum(parts.values()) == total
    chunks = chunks_of(Plan(inputs=total))
    assert sum(chunk.size for chunk in chunks) == total
    assert len({(chunk.target, chunk.number) for chunk in chunks}) == len(chunks)


def test_every_target_gets_on() -> None:
    begun = {chunk.target for chunk in chunks_of(Plan())[: 2 * len(SHARES)]}
    assert begun == set(SHARES)


def test_without_atheris(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its share goes to the others, and the run says so."""
    monkeypatch.setattr(guided, "is_installed", lambda: False)
    said: list[str] = []
    plan = without_guided(Plan(), said.append)
    assert plan.targets == tuple(name for name in SHARES if name != "guided")
    assert sum(split(plan.inputs, plan.targets).values()) == Plan.inputs
    assert without_guided(Plan(targets=("guided",)), said.append).targets == ("parsers",)
    assert "guided is left out, for atheris is not installed" in said[0]


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        ([], Plan()),
        (["--inputs", "7", "--seed", "3", "--seconds", "2"], Plan(inputs=7, seed=3, seconds=2)),
        (["--target", "rpc", "rest"], Plan(targets=("rest", "rpc"))),
        (["--growth", "1", "--deadline", "5"], Plan(growth_bytes=1 << 20, deadline_seconds=5)),
    ],
)
def test_the_command_line(arguments: list[str], wanted: Plan) -> None:
    assert plan_of(parse(arguments)) == wanted


@pytest.mark.parametrize("arguments", [["--inputs", "0"], ["--target", "x"], ["x"]])
def test_a_wrong_command_line(arguments: list[str], capsys: Any) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(arguments)
    assert ended.value.code == 2
    assert "usage" in capsys.readouterr().err
