"""The command line: what ``--quick`` and the other options make of the plan."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.server.__main__ import parse, plan_of
from benchmarks.server.contestants import CONTESTANTS
from benchmarks.server.environments import REQUIREMENTS
from benchmarks.server.plan import QUICK, Plan

PROJECT = Path(__file__).resolve().parents[3]


def test_help_names_every_server_and_what_the_exit_code_means() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.server", "--help"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    for word in ("--quick", "--json", "--rounds", "Exit code", "make bench-server"):
        assert word in done.stdout
    for contestant in CONTESTANTS:
        assert contestant.name in done.stdout


def test_options_go_over_the_plan_they_start_from() -> None:
    assert plan_of(parse([])) == Plan()
    assert plan_of(parse(["--quick"])) == QUICK
    chosen = plan_of(
        parse(["--quick", "--only", "embedded", "ray", "--rounds", "2", "--clients", "32", "1"])
    )
    assert (chosen.only, chosen.rounds, chosen.clients) == (("embedded", "ray"), 2, (1, 32))
    assert chosen.seconds == QUICK.seconds


def test_an_unknown_server_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["--only", "triton"])
    assert "triton" in capsys.readouterr().err


def test_every_peer_has_pins_and_every_pin_a_peer() -> None:
    peers = {each.environment_name for each in CONTESTANTS if each.kind in ("peer", "reference")}
    assert {path.stem for path in REQUIREMENTS.glob("*.txt")} == peers
    assert {path.stem for path in REQUIREMENTS.glob("*.in")} == peers
