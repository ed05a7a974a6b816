"""A figure is met by its goal's own side, and what was not measured is never met."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks.figures import Figure, all_met, print_figures, verdict, write_json


@pytest.mark.parametrize(
    ("figure", "met"),
    [
        (Figure("time", 30.0, "s", most=30.0), True),
        (Figure("time", 30.1, "s", most=30.0), False),
        (Figure("ratio", 0.95, "×", least=0.95), True),
        (Figure("ratio", 0.949, "×", least=0.95), False),
        (Figure("exit code", 0, most=0), True),
        (Figure("exit code", 2, most=0), False),
        (Figure("not measured", None, "s", most=30.0), False),
        (Figure("no goal", 5.0), None),
    ],
)
def test_met(figure: Figure, met: bool | None) -> None:
    assert figure.met is met


def test_a_goal_that_is_missed_is_named_and_spoils_the_whole() -> None:
    figures = [Figure("time", 10, "s", most=30), Figure("memory", 5, "GB", most=4), Figure("x", 1)]
    assert verdict(figures) == "1 of 2 goals met. Not met: memory."
    assert not all_met(figures)
    assert all_met([figures[0], figures[2]])


def test_the_table_says_measurement_and_goal() -> None:
    text = io.StringIO()
    figures = [
        Figure("wall time", 69.04, "s", most=180),
        Figure("ratio", None, "×", least=0.95),
    ]
    print_figures(figures, Console(file=text, width=160))
    printed = text.getvalue()
    assert "69.04 s" in printed and "≤ 180 s" in printed
    assert "not measured" in printed and "≥ 0.95 ×" in printed
    assert "1 of 2 goals met. Not met: ratio." in printed


def test_json_keeps_value_goal_and_verdict(tmp_path: Path) -> None:
    path = tmp_path / "new" / "bench.json"
    write_json(path, [Figure("wall time", 69.0, "s", most=180.0)], load_at_start=0.1)
    stored = json.loads(path.read_text())
    assert stored["load_at_start"] == 0.1
    (figure,) = stored["figures"]
    assert (figure["value"], figure["most"], figure["met"]) == (69.0, 180.0, True)
