"""Figures of windows: what is shown, and what must stand beside it."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from hdrh.histogram import HdrHistogram
from rich.console import Console

from pipelines.facts import LoadFacts, ScenarioFacts
from pipelines.measuring.figures import scenario_facts, throughput_facts
from pipelines.measuring.histograms import write_histogram
from pipelines.measuring.knees import knee_of
from pipelines.measuring.ratios import latency_ratio, throughput_ratio
from pipelines.measuring.table import APART_NOTE, print_load
from pipelines.measuring.windows import Seen
from tests.pipelines.measuring.windows import endpoint, said, windows


def ranks(facts: ScenarioFacts) -> list[float]:
    return [each.rank for each in facts.percentiles]


@pytest.mark.parametrize(
    ("samples", "shown"),
    [
        (2, []),
        (14, [50]),
        (15, [50, 90]),
        (152, [50, 90, 95]),
        (153, [50, 90, 95, 99]),
        (1535, [50, 90, 95, 99, 99.9]),
    ],
)
def test_a_percentile_is_shown_only_where_there_are_samples_enough(
    samples: int, shown: list[float]
) -> None:
    """Of three windows together: 459 for the 99th, 44 for the 90th."""
    facts = scenario_facts(windows(1, 1, 1, samples=samples))
    assert ranks(facts) == shown
    assert (facts.percentile(99) is None) == (3 * samples < 459)
    assert not facts.curve or facts.curve[-1].rank <= shown[-1]
    assert all(each.ms <= each.at_most_ms for each in facts.percentiles)


def test_windows_within_ten_per_cent_are_stable_and_others_are_not() -> None:
    assert not scenario_facts(windows(1, 1.05, 0.96, samples=20_000)).unstable
    apart = scenario_facts(windows(1, 1.3, 1, samples=20_000))
    assert apart.unstable
    assert apart.spread == pytest.approx(0.3, abs=0.05)


def test_throughput_alone_can_be_unstable() -> None:
    even = [*windows(1, rate=100.0), *windows(1, rate=101.0), *windows(1, rate=150.0)]
    assert throughput_facts(even, 4).unstable
    assert scenario_facts(even).unstable


def tailed(*tails: float) -> list[Seen]:
    """Windows alike in throughput and median; their slowest two of a hundred take so long."""
    found = []
    for number, tail in enumerate(tails, 1):
        latencies = np.where(np.arange(1000) < 980, np.linspace(1, 1.01, 1000), tail)
        found.append(Seen(endpoint(), said(number=number), latencies, float(number)))
    return found


def test_a_tail_that_jumps_is_unstable_and_the_median_beside_it_is_not() -> None:
    jumps, calm = scenario_facts(tailed(5, 9, 5)), scenario_facts(tailed(5, 5, 5))
    assert not calm.unstable
    assert jumps.unstable
    assert jumps.unstable_in == ["p99_ms"]
    assert jumps.spread == pytest.approx(0.8)
    assert jumps.spreads["p50_ms"] == pytest.approx(0)
    p99 = latency_ratio(tailed(5, 9, 5), tailed(5, 5, 5), "p99_ms", (jumps, calm), 1)
    p50 = latency_ratio(tailed(5, 9, 5), tailed(5, 5, 5), "p50_ms", (jumps, calm), 1)
    assert p99
    assert p50
    assert p99.why_not == "TF Serving is UNSTABLE"
    assert p50.usable


def test_an_unstable_figure_carries_its_mark_in_the_table() -> None:
    load = LoadFacts(quick=False, engine="", seconds_per_scenario=600, windows=3, seed=1,
                     scenarios=[scenario_facts(tailed(5, 9, 5))])  # fmt: skip
    console = Console(width=80, record=True, file=StringIO())
    print_load(console, load)
    text = console.export_text()
    (row,) = [line for line in text.splitlines() if "SingleStream" in line]
    assert "5.00~" in row
    assert row.count("~") == 1
    assert "UNSTABLE ±80 %" in row
    assert APART_NOTE in text


def test_fewer_than_three_windows_are_not_called_stable() -> None:
    facts = scenario_facts(windows(1, 1))
    assert facts.spread is None
    assert not facts.unstable


def test_one_invalid_window_makes_the_figure_invalid_with_its_reason() -> None:
    seen = [*windows(1, 1), *windows(1, validity="INVALID", reasons=["too few queries"])]
    facts = scenario_facts(seen)
    assert (facts.validity, facts.reasons) == ("INVALID", ["too few queries"])


def test_one_wrong_answer_voids_the_figure() -> None:
    void = windows(1, validity="VOID", wrong=1, problem="row 3", reasons=["1 wrong answers"])
    invalid = windows(1, validity="INVALID", reasons=["too few queries"])
    facts = scenario_facts([*windows(1), *void, *invalid])
    assert (facts.validity, facts.wrong, facts.first_problem) == ("VOID", 1, "row 3")
    assert not _ratio(facts, [*windows(1), *void, *invalid]).usable


@pytest.mark.parametrize("more", [{"cores": 0.97}, {"lag_p99_ms": 0.9}])
def test_a_client_that_is_the_limit_is_told(more: dict[str, float]) -> None:
    facts = scenario_facts(windows(1, 1, 1, **more))
    assert facts.client
    assert facts.client.saturated
    assert facts.client.why
    assert "client was the limit" in _ratio(facts, windows(1, 1, 1, **more)).why_not


def test_offline_has_no_percentiles() -> None:
    facts = scenario_facts(windows(1, 1, 1, scenario="Offline", clients=4))
    assert (facts.percentiles, facts.curve) == ([], [])


def _ratio(facts: ScenarioFacts, seen: list) -> object:
    other = windows(2, 2, 2, server="torchserve")
    pair = (scenario_facts(other), facts)
    return latency_ratio(other, seen, "p50_ms", pair, seed=1)


def test_a_ratio_has_an_interval_around_it() -> None:
    slow, fast = windows(2, 2.02, 1.98, server="torchserve"), windows(1, 1.01, 0.99)
    ratio = latency_ratio(slow, fast, "p99_ms", (scenario_facts(slow), scenario_facts(fast)), 1)
    assert ratio is not None
    assert ratio.usable
    assert ratio.low <= ratio.ratio <= ratio.high
    assert ratio.low > 1.5
    assert ratio.high < 2.7
    assert (ratio.numerator, ratio.denominator, ratio.pairs) == ("TorchServe", "TF Serving", 3)


def test_noisy_windows_widen_the_interval() -> None:
    calm, wild = windows(1, 1.01, 0.99), windows(0.5, 1, 2, server="torchserve")
    still = windows(1, 1.01, 0.99, server="torchserve")
    pair = (scenario_facts(wild), scenario_facts(calm))
    wide = latency_ratio(wild, calm, "p50_ms", pair, 1)
    narrow = latency_ratio(still, calm, "p50_ms", (scenario_facts(still), pair[1]), 1)
    assert wide is not None
    assert narrow is not None
    assert wide.high - wide.low > 5 * (narrow.high - narrow.low)
    assert wide.low < 1 < wide.high
    assert not wide.usable


def test_no_ratio_of_a_percentile_that_a_window_has_too_few_samples_for() -> None:
    few = windows(1, 1, 1, samples=458)
    assert latency_ratio(few, few, "p99_ms", (scenario_facts(few),) * 2, 1) is None
    assert latency_ratio(few, few, "p90_ms", (scenario_facts(few),) * 2, 1) is not None


def test_the_ratio_of_throughput_spans_the_windows() -> None:
    more = {"scenario": "Offline", "clients": 4}
    one, other = windows(1, 1.1, 0.9, **more), windows(2, 2, 2, server="torchserve", **more)
    pair = (throughput_facts(other, 4), throughput_facts(one, 4))
    ratio = throughput_ratio(other, one, pair, 1)
    assert ratio
    assert ratio.ratio == pytest.approx(0.5, rel=0.01)
    assert ratio.low <= 0.46
    assert ratio.high >= 0.54
    assert ratio.clients == 4


def _point(target: float, answered: float, median: float) -> ScenarioFacts:
    (seen,) = windows(median, scenario="Server", target=target, rate=answered)
    return scenario_facts([seen])


def test_the_knee_is_before_the_load_that_is_not_answered() -> None:
    knee = knee_of([_point(100, 100, 1), _point(200, 199, 1.2), _point(300, 250, 2)])
    assert knee.per_second == 200
    assert "only 250 are answered" in knee.why


def test_the_knee_is_before_the_latency_that_runs_away() -> None:
    knee = knee_of([_point(100, 100, 1), _point(200, 200, 4), _point(300, 300, 1)])
    assert knee.per_second == 100
    assert "median latency" in knee.why


def test_the_knee_is_held_to_what_arrived_not_to_what_was_asked_for() -> None:
    """A short window's arrivals are random: 80 came where 100 were asked for, and 80 were answered."""
    (seen,) = windows(1, scenario="Server", target=100, offered=80.0, rate=79.5)
    knee = knee_of([scenario_facts([seen])])
    assert "no knee" in knee.why
    assert knee.per_second == 80


def test_the_knee_goes_by_the_load_that_arrived_in_whatever_order_it_came() -> None:
    """What arrived need not rise as what was asked for does."""
    knee = knee_of([_point(100, 100, 1), _point(95, 95, 1), _point(110, 90, 1)])
    assert knee.per_second == 100
    knee = knee_of([_point(50, 50, 1), _point(100, 100, 1), _point(97, 90, 1)])
    assert knee.per_second == 50
    assert knee.why == "at 97 requests/s only 90 are answered"


def test_the_lowest_load_is_the_one_that_latency_is_held_against() -> None:
    knee = knee_of([_point(100, 100, 4), _point(95, 95, 1), _point(110, 110, 4)])
    assert knee.per_second == 95
    assert "4.0 times that of the lowest load" in knee.why


def test_no_knee_is_said_too() -> None:
    knee = knee_of([_point(100, 100, 1), _point(200, 200, 1)])
    assert knee.per_second == 200
    assert "no knee" in knee.why


def test_a_histogram_is_read_back_by_the_library(tmp_path: Path) -> None:
    latencies = np.random.default_rng(2).exponential(3.0, 5000)
    write_histogram(tmp_path / "h" / "one.hlog", "A title", latencies)
    lines = (tmp_path / "h" / "one.hlog").read_text().splitlines()
    assert lines[0] == "#[A title; values are microseconds]"
    read = HdrHistogram.decode(lines[-1].split(",", 3)[3])
    assert read.get_total_count() == 5000
    wanted = np.percentile(latencies, 99) * 1000
    assert read.get_value_at_percentile(99) == pytest.approx(wanted, rel=0.01)
