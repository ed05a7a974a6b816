"""The verdict in words: as many claims as the figures support, and no more."""

from __future__ import annotations

from typing import Any

import pytest

from pipelines.facts import LoadFacts, RatioFacts
from pipelines.report.claims import claims_of, factor, headlines

TF, TORCH = "TF Serving", "TorchServe"
GIVEN: dict[str, Any] = {
    "quantity": "p99_ms", "protocol": "REST", "scenario": "SingleStream", "numerator": TORCH,
    "denominator": TF, "ratio": 1.95, "low": 1.8, "high": 2.1, "pairs": 3, "resamples": 2000,
    "usable": True,
}  # fmt: skip


def load_of(*changes: dict[str, Any], quick: bool = False) -> LoadFacts:
    ratios = [RatioFacts(**(GIVEN | each)) for each in changes]
    return LoadFacts(
        quick=quick, engine="", seconds_per_scenario=600, windows=3, seed=1, ratios=ratios
    )


def claim(**changes: Any) -> Any:
    (found,) = claims_of(load_of(changes))
    return found


def test_an_interval_beyond_1_is_a_difference() -> None:
    found = claim()
    assert found.ruling == "different"
    assert found.sentence.startswith("TorchServe is 1.8 to 2.1 times slower at p99 over REST")
    assert (found.worse, found.better) == (TORCH, TF)
    assert "95 % interval 1.80 to 2.10, 3 pairs" in found.figures


def test_a_ratio_below_1_is_said_the_other_way_round() -> None:
    found = claim(ratio=0.5, low=0.4, high=0.625)
    assert found.sentence.startswith("TF Serving is 1.6 to 2.5 times slower at p99 over REST")
    assert (found.worse, found.ratio, found.low, found.high) == (TF, 2.0, 1.6, 2.5)


def test_more_requests_a_second_are_better() -> None:
    rate = {"quantity": "requests_per_second", "scenario": "Offline", "clients": 16}
    found = claim(**rate, ratio=0.5, low=0.4, high=0.625)
    assert found.sentence == (
        "TF Serving answers 1.6 to 2.5 times as many requests a second over REST as TorchServe, "
        "with 16 requests under way"
    )
    assert (found.worse, found.better) == (TORCH, TF)
    assert claim(**rate).worse == TF


@pytest.mark.parametrize(
    ("low", "ratio", "high", "ruling"),
    [
        (0.7, 1.2, 1.9, "undecided"),
        (1.0, 1.2, 1.9, "undecided"),
        (1.004, 1.2, 1.9, "undecided"),  # it would be written as 1.00
        (1.01, 1.2, 1.9, "different"),
        (0.5, 0.7, 1.0, "undecided"),
        (0.5, 0.7, 0.99, "different"),
        (0.97, 1.01, 1.04, "alike"),
        (1.01, 1.02, 1.04, "alike"),
        (0.90, 1.01, 1.04, "undecided"),
    ],
)
def test_the_interval_decides(low: float, ratio: float, high: float, ruling: str) -> None:
    found = claim(low=low, ratio=ratio, high=high)
    assert found.ruling == ruling
    assert ("slower" in found.sentence) is (ruling == "different")
    if ruling == "undecided":
        assert found.sentence.startswith("No difference in p99 over REST that these runs can show")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"usable": False, "why_not": "TorchServe over REST is UNSTABLE"}, "UNSTABLE"),
        ({"usable": False}, "not to be quoted"),
        ({"pairs": 2}, "2 pairs of windows, and 3 are needed"),
        ({"ratio": float("nan")}, "not a number"),
        ({"low": 0.0}, "not a number"),
        ({"high": float("inf")}, "not a number"),
        ({"low": 2.0}, "outside of its own interval"),
    ],
)
def test_what_stands_against_a_figure_stands_against_the_claim(
    changes: dict[str, Any], why: str
) -> None:
    found = claim(**changes)
    assert found.ruling == "refused"
    assert why in found.figures
    assert found.sentence == "No claim about p99 over REST, one request after the other"
    assert (found.ratio, found.low, found.high, found.worse) == (None, None, None, "")


def test_nothing_measured_is_nothing_claimed() -> None:
    assert claims_of(None) == []
    assert headlines([]) == []


def test_what_differs_in_the_protocol_only_is_one_sentence() -> None:
    said = headlines(
        claims_of(load_of({}, {"protocol": "gRPC", "low": 2.0, "ratio": 2.2, "high": 2.4}))
    )
    assert [each.claim for each in said] == [
        "TorchServe is 1.8 to 2.1 times slower at p99 over REST and 2.0 to 2.4 times over gRPC, "
        "one request after the other"
    ]
    assert said[0].figures == "ratio 1.95 (1.80 to 2.10) over REST, 2.20 (2.00 to 2.40) over gRPC"


def test_two_winners_are_two_sentences() -> None:
    other = {"protocol": "gRPC", "low": 0.4, "ratio": 0.5, "high": 0.6}
    said = [each.claim for each in headlines(claims_of(load_of({}, other)))]
    assert len(said) == 2
    assert said[1].startswith("TF Serving is 1.7 to 2.5 times slower at p99 over gRPC")


def test_on_top_stand_the_highest_percentile_and_the_most_clients() -> None:
    rate = {"quantity": "requests_per_second", "scenario": "Offline"}
    found = claims_of(
        load_of(
            {"quantity": "p50_ms"}, {}, {**rate, "clients": 1}, {**rate, "clients": 16},
            {"scenario": "Server", "quantity": "p90_ms"},
        )
    )  # fmt: skip
    said = [each.claim for each in headlines(found)]
    assert len(said) == 3
    assert "p50" not in " ".join(said)
    assert "with 16 requests under way" in " ".join(said)
    assert "at p90 over REST, requests at random times" in " ".join(said)


def test_refused_ones_are_counted_with_their_reasons_and_quick_runs_say_so() -> None:
    refused = {"protocol": "gRPC", "usable": False, "why_not": "the client was the limit"}
    more = {**refused, "scenario": "Server", "why_not": "A is UNSTABLE; the client was the limit"}
    *_, said = headlines(claims_of(load_of({}, refused, more)))
    assert said.figures == "the client was the limit; A is UNSTABLE"
    first, second = headlines(claims_of(load_of({}, refused, quick=True)))
    assert first.figures.endswith("; quick runs")
    assert (second.claim, second.figures, second.caution) == (
        "No claim about 1 of 2 comparisons",
        "the client was the limit",
        True,
    )


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (1.8, 2.1, "1.8 to 2.1 times"),
        (1.06, 1.31, "1.06 to 1.31 times"),
        (2.01, 2.04, "2.0 times"),
        (9.96, 14.2, "10 to 14 times"),
    ],
)
def test_factors_have_the_digits_that_they_carry(low: float, high: float, said: str) -> None:
    assert factor(low, high) == said
