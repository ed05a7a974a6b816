"""A second measurement held against a first: regressions beyond noise, and refusals."""

from __future__ import annotations

from io import StringIO
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from models.errors import NotComparable
from pipelines.facts import (
    ConditionsFacts,
    KneeFacts,
    LoadFacts,
    PercentileFacts,
    RunReport,
    ScenarioFacts,
    ServerFacts,
    ThroughputFacts,
    WindowFacts,
)
from pipelines.measuring.compared_table import print_compared
from pipelines.measuring.comparing import Change, Compared, compare_reports, regressions
from pipelines.measuring.figures import STABLE
from tests.pipelines.report.measured import measured_report
from tests.pipelines.report.sample import sample_report


def scenario(*p50s: float, **more: Any) -> ScenarioFacts:
    middle = sorted(p50s)[len(p50s) // 2]
    windows = [
        WindowFacts(
            number=number,
            started=0,
            requests=1000,
            wrong=0,
            seconds=1,
            requests_per_second=1000,
            p50_ms=p50,
            p99_ms=p50 * 3,
            validity="VALID",
        )
        for number, p50 in enumerate(p50s, 1)
    ]
    fields: dict[str, Any] = {
        "server": "TF Serving 2.21",
        "protocol": "REST",
        "requests": 3000,
        "wrong": 0,
        "scenario": "SingleStream",
        "requests_per_second": 1000,
        "windows": windows,
        "percentiles": [
            PercentileFacts(rank=50, ms=middle, at_most_ms=middle * 1.02),
            PercentileFacts(rank=99, ms=middle * 3, at_most_ms=middle * 3.3),
        ],
    }
    return ScenarioFacts(**{**fields, **more})


def throughput(*rates: float, **more: Any) -> ThroughputFacts:
    one = scenario(1.0)
    windows = [one.windows[0].model_copy(update={"requests_per_second": rate}) for rate in rates]
    fields: dict[str, Any] = {
        "server": "TF Serving 2.21",
        "protocol": "REST",
        "requests": 1000,
        "wrong": 0,
        "clients": 4,
        "seconds": 3,
        "requests_per_second": sorted(rates)[len(rates) // 2],
        "windows": windows,
    }
    return ThroughputFacts(**{**fields, **more})


@pytest.fixture
def report() -> Any:
    """A report with these figures under load."""
    sample = sample_report()

    def build(*rows: Any, request_bytes: int = 300, hardware: str = "", **more: Any) -> RunReport:
        load = LoadFacts(
            **{
                "quick": False,
                "engine": "MLPerf LoadGen 6.0.17",
                "seconds_per_scenario": 600,
                "windows": 3,
                "seed": 1,
                **more,
            },
            scenarios=[row for row in rows if isinstance(row, ScenarioFacts)],
            throughput=[row for row in rows if isinstance(row, ThroughputFacts)],
            conditions=[
                ConditionsFacts(
                    server="TF Serving 2.21",
                    protocol="REST",
                    request_bytes=request_bytes,
                    answer_bytes=10,
                    workers=1,
                    threads=1,
                )
            ],
        )
        server = ServerFacts(
            name="tfserving",
            label="TF Serving 2.21",
            framework="tensorflow",
            where="process",
            ready_seconds=1,
            idle_bytes=1,
            loaded_bytes=1,
        )
        machine = {**sample.environment.hardware, **({"processor": hardware} if hardware else {})}
        environment = sample.environment.model_copy(update={"hardware": machine})
        return sample.model_copy(
            update={"load": load, "servers": [server], "environment": environment}
        )

    return build


def changes(rows: list[Compared]) -> dict[str, Change]:
    """Of the figures under load."""
    return {row.quantity: row.change for row in under_load(rows)}


def under_load(rows: list[Compared]) -> list[Compared]:
    return [row for row in rows if " · REST, " in row.subject]


def test_the_same_figures_are_the_same(report: Any) -> None:
    rows = compare_reports(report(scenario(1, 1.1, 0.9)), report(scenario(1, 1.1, 0.9)))
    assert changes(rows) == {"p50 ms": Change.SAME, "p99 ms": Change.SAME}
    assert regressions(rows) == []


def test_twice_as_slow_is_a_regression_and_half_is_not(report: Any) -> None:
    slow, fast = report(scenario(2, 2.1, 1.9)), report(scenario(1, 1.1, 0.9))
    assert set(changes(compare_reports(fast, slow)).values()) == {Change.WORSE}
    assert set(changes(compare_reports(slow, fast)).values()) == {Change.BETTER}


def test_windows_that_overlap_are_noise(report: Any) -> None:
    rows = compare_reports(report(scenario(1, 1.6, 0.9)), report(scenario(1.5, 2, 1.7)))
    assert changes(rows)["p50 ms"] is Change.SAME


def test_a_small_difference_is_no_regression_even_without_noise(report: Any) -> None:
    rows = compare_reports(report(scenario(1, 1, 1)), report(scenario(1.08, 1.08, 1.08)))
    assert changes(rows)["p50 ms"] is Change.SAME


def test_less_throughput_is_a_regression(report: Any) -> None:
    rows = compare_reports(report(throughput(100, 99, 101)), report(throughput(50, 49, 51)))
    assert changes(rows) == {"requests/s": Change.WORSE}


def test_answers_that_became_wrong_are_a_regression_without_figures(report: Any) -> None:
    void = scenario(1, 1, 1, validity="VOID", wrong=1, reasons=["1 wrong answers"])
    (row,) = under_load(compare_reports(report(scenario(1, 1, 1)), report(void)))
    assert (row.quantity, row.change, row.after) == ("VALID → VOID", Change.WORSE, None)


def judged_by_loadgen(*words: str) -> ScenarioFacts:
    """A scenario whose windows are VALID or INVALID."""
    good = scenario(1, 1, 1)
    windows = [
        window.model_copy(update={"validity": word})
        for window, word in zip(good.windows, words, strict=True)
    ]
    validity = "INVALID" if "INVALID" in words else "VALID"
    return good.model_copy(update={"windows": windows, "validity": validity})


@pytest.mark.parametrize(
    ("words", "change"),
    [
        (("INVALID", "INVALID", "INVALID"), Change.WORSE),
        (("VALID", "INVALID", "INVALID"), Change.SAME),
    ],
)
def test_invalid_is_a_regression_only_in_every_window(
    report: Any, words: tuple[str, ...], change: Change
) -> None:
    good, bad = report(scenario(1, 1, 1)), report(judged_by_loadgen(*words))
    assert changes(compare_reports(good, bad))["VALID → INVALID"] is change
    back = Change.BETTER if change is Change.WORSE else change
    assert changes(compare_reports(bad, good))["INVALID → VALID"] is back


def test_wrong_answers_are_worse_than_an_invalid_run(report: Any) -> None:
    invalid = report(judged_by_loadgen("INVALID", "INVALID", "INVALID"))
    void = report(scenario(1, 1, 1, validity="VOID", wrong=1))
    assert changes(compare_reports(invalid, void)) == {"INVALID → VOID": Change.WORSE}
    assert changes(compare_reports(void, invalid)) == {"VOID → INVALID": Change.BETTER}


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"quick": True}, "kind of run"),
        ({"hardware": "Another processor"}, "machine"),
        ({"request_bytes": 301}, "payload"),
        ({"engine": "MLPerf LoadGen 7"}, "load engine"),
        ({"seconds_per_scenario": 60}, "kind of run"),
    ],
)
def test_what_was_not_measured_alike_is_refused(
    report: Any, other: dict[str, Any], words: str
) -> None:
    with pytest.raises(NotComparable, match=words):
        compare_reports(report(scenario(1, 1, 1)), report(scenario(1, 1, 1), **other))


def test_a_report_without_figures_is_refused(report: Any) -> None:
    full = report(scenario(1, 1, 1))
    with pytest.raises(NotComparable, match="second report has no figures"):
        compare_reports(full, full.model_copy(update={"load": None}))


def test_the_table_fits_eighty_columns_and_loses_no_verdict_or_note(report: Any) -> None:
    fast = report(scenario(11, 11.1, 11.2), throughput(11_000, 11_100, 11_200))
    unstable = {"unstable": True, "unstable_in": ["p99_ms"], "spreads": {"p99_ms": 0.2}}
    slow = report(scenario(22, 22.1, 22.2, **unstable), throughput(5_000, 5_100, 5_200))
    console = Console(width=80, record=True, file=StringIO())
    print_compared(console, compare_reports(fast, slow))
    lines = [line.rstrip() for line in console.export_text().splitlines()]
    assert max(map(len, lines)) <= 80
    text = "\n".join(" ".join(line.split()) for line in lines)
    assert "SingleStream p50 ms 11.1 (11.0–11.2) 22.1 (22.0–22.2) 1.99 WORSE\n" in text
    for said in (
        "1.99 unjudged (1)",
        "11.1k 5,100 0.46 WORSE",
        "(1) UNSTABLE in the second",
    ):
        assert said in text


@pytest.mark.parametrize("turned", [False, True])
def test_an_unstable_figure_is_not_judged_and_the_stable_one_beside_it_is(
    report: Any, turned: bool
) -> None:
    marks = {
        "unstable": True,
        "unstable_in": ["p99_ms"],
        "spreads": {"p99_ms": 0.2, "p50_ms": 0.01},
    }
    runs = [report(scenario(1, 1.01, 1.02)), report(scenario(3, 3.01, 3.02, **marks))]
    rows = compare_reports(*(reversed(runs) if turned else runs))
    assert changes(rows) == {
        "p50 ms": Change.BETTER if turned else Change.WORSE,
        "p99 ms": Change.UNJUDGED,
    }
    (row,) = [row for row in rows if row.quantity == "p99 ms"]
    assert row.note == f"UNSTABLE in the {'first' if turned else 'second'}"


def test_a_lost_percentile_and_a_lost_endpoint_are_said(report: Any) -> None:
    whole = report(scenario(1, 1, 1), throughput(5, 5, 5))
    less = scenario(1, 1, 1)
    less = less.model_copy(update={"percentiles": less.percentiles[:1]})
    rows = {row.quantity: row for row in under_load(compare_reports(whole, report(less)))}
    assert rows["p99 ms"].note == "lost: the second has no p99"
    assert rows["all figures"].note == "lost: the second has no figures"
    assert rows["p99 ms"].change is rows["all figures"].change is Change.UNJUDGED
    back = {row.quantity: row for row in compare_reports(report(less), whole)}
    assert back["p99 ms"].note == "new: the first has no p99"


def test_a_percentile_that_some_window_has_no_samples_for_is_not_judged(report: Any) -> None:
    few = scenario(5, 5, 5)
    windows = [window.model_copy(update={"p99_ms": None}) for window in few.windows]
    rows = compare_reports(
        report(scenario(1, 1, 1)), report(few.model_copy(update={"windows": windows}))
    )
    assert changes(rows) == {"p50 ms": Change.WORSE, "p99 ms": Change.UNJUDGED}


def with_server(found: RunReport, **changed: Any) -> RunReport:
    servers = [server.model_copy(update=changed) for server in found.servers]
    return found.model_copy(update={"servers": servers})


def knee(most: float | None) -> dict[str, Any]:
    facts = KneeFacts(server="TF Serving 2.21", protocol="REST", per_second=most, why="")
    return {"knees": [facts]}


def test_memory_start_processor_time_and_knees_are_compared_by_a_coarse_bound(report: Any) -> None:
    before = with_server(report(scenario(1, 1, 1), **knee(900)), cpu_ms_per_answer=1.0)
    after = with_server(
        report(scenario(1, 1, 1), **knee(300)),
        loaded_bytes=2, ready_seconds=1.4, cpu_ms_per_answer=0.5,
    )  # fmt: skip
    found = {row.subject: row.change for row in compare_reports(before, after)}
    assert found["tfserving · REST, knee"] is Change.WORSE
    assert found["tfserving, loaded"] is Change.WORSE
    assert found["tfserving, idle"] is Change.SAME
    assert found["tfserving, start"] is Change.SAME
    assert found["tfserving, cpu/answer"] is Change.BETTER


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [(900, None, Change.WORSE), (None, 900, Change.BETTER), (None, None, Change.SAME)],
)
def test_a_knee_below_the_sweep_is_the_worst_there_is(
    report: Any, before: float | None, after: float | None, change: Change
) -> None:
    rows = compare_reports(
        report(scenario(1, 1, 1), **knee(before)), report(scenario(1, 1, 1), **knee(after))
    )
    (row,) = [row for row in rows if row.subject == "tfserving · REST, knee"]
    assert (row.before, row.after) == (before or 0, after or 0)
    assert row.change is change
    assert "0: below the sweep" in row.note


def test_a_single_value_that_only_one_run_has_is_lost_or_new(report: Any) -> None:
    without = report(scenario(1, 1, 1))
    more = with_server(report(scenario(1, 1, 1), **knee(None)), cpu_ms_per_answer=1.0)
    for runs, word, values in (
        ((more, without), "lost: the second", {"knee": (0, None), "cpu/answer": (1, None)}),
        ((without, more), "new: the first", {"knee": (None, 0), "cpu/answer": (None, 1)}),
    ):
        rows = [row for row in compare_reports(*runs) if row.change is Change.UNJUDGED]
        assert {row.subject.split(", ")[1]: (row.before, row.after) for row in rows} == values
        assert all(row.note.startswith(f"{word} has none measured alike") for row in rows)


def test_a_new_leak_is_a_regression_and_memory_of_another_kind_is_not_compared(report: Any) -> None:
    plain = measured_report(report(scenario(1, 1, 1)))

    def measured(growing: bool, kind: str) -> RunReport:
        part = plain.breakdown.memory
        assert part
        rows = [row.model_copy(update={"growing": growing, "kind": kind}) for row in part.rows]
        memory = part.model_copy(update={"rows": rows})
        breakdown = plain.breakdown.model_copy(update={"memory": memory})
        return plain.model_copy(
            update={"load": report(scenario(1, 1, 1)).load, "breakdown": breakdown}
        )

    rows = compare_reports(measured(False, "PSS"), measured(True, "RSS"))
    leaks = [row.change for row in rows if row.subject.endswith("leak")]
    peaks = [(row.change, row.note) for row in rows if "peak" in row.subject]
    assert leaks == [Change.WORSE] * 2
    lost, new = "lost: the second has none measured alike", "new: the first has none measured alike"
    assert peaks == [(Change.UNJUDGED, lost)] * 2 + [(Change.UNJUDGED, new)] * 2


@pytest.mark.parametrize("windows", [3, 6])
@pytest.mark.parametrize("noise", [0.02, 0.05, 0.1])
def test_two_honest_runs_of_the_same_thing_are_flagged_in_at_most_one_of_twenty(
    report: Any, windows: int, noise: float
) -> None:
    """36 figures, each window with log-normal noise, and each run 2 % faster or slower as a whole."""
    random = np.random.default_rng(20_261_127)
    runs = 150

    def run() -> RunReport:
        shift = random.normal(0, 0.02)
        rows = []
        for clients in range(1, 37):
            rates = 1000 * np.exp(shift + random.normal(0, noise, windows))
            middle = float(np.median(rates))
            unstable = bool(np.max(np.abs(rates / middle - 1)) > STABLE)
            rows.append(throughput(*rates.tolist(), clients=clients, unstable=unstable))
        return report(*rows)

    flagged = sum(
        any(change in (Change.WORSE, Change.BETTER) for change in every.values())
        for every in (
            {row.subject: row.change for row in compare_reports(run(), run())} for _ in range(runs)
        )
    )
    assert flagged / runs <= 0.05
