"""The verdict of the measurement in words: as many claims as the figures support, and no more.

A claim is made of one ratio and its confidence interval. What cannot be claimed is said too, with the reason, so
that silence never means "the same".
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from pipelines.facts.claims import ClaimFacts, Ruling
from pipelines.facts.load import LoadFacts, Quantity, RatioFacts, Scenario
from pipelines.report import figures
from pipelines.report.contests import Evidence

FEWEST_PAIRS = 3
"""Windows on each side. From fewer an interval says nothing."""
ALIKE = 1.05
"""An interval that lies within this factor of 1 is called the same, even where it does not hold 1."""
MANNERS: dict[Scenario, str] = {
    "SingleStream": "one request after the other",
    "MultiStream": "several requests at once",
    "Server": "requests at random times",
    "Offline": "all requests at once",
}
PERCENTILES: dict[Quantity, str] = {"p50_ms": "p50", "p90_ms": "p90", "p99_ms": "p99"}


def claims_of(load: LoadFacts | None) -> list[ClaimFacts]:
    """One claim for each ratio, in the order of the ratios; none where nothing was measured."""
    return [_claim(ratio, load) for ratio in load.ratios] if load else []


def _claim(ratio: RatioFacts, load: LoadFacts) -> ClaimFacts:
    against = _why_not(ratio)
    ruling: Ruling = "refused" if against else _ruling(ratio)
    low, high = (None, None) if against else _turned(ratio)
    worse, better = _worse_and_better(ratio) if ruling == "different" else ("", "")
    claim = ClaimFacts(
        ruling=ruling,
        sentence="",
        figures=against or _figures(ratio),
        quantity=ratio.quantity,
        scenario=ratio.scenario,
        protocol=ratio.protocol,
        clients=ratio.clients,
        worse=worse,
        better=better,
        ratio=None if against else max(ratio.ratio, 1 / ratio.ratio),
        low=low,
        high=high,
        quick=load.quick,
        short=load.short,
    )
    return claim.model_copy(update={"sentence": sentence([claim])})


def _why_not(ratio: RatioFacts) -> str:
    """What stands against a claim; empty where nothing does."""
    if not ratio.usable:
        return ratio.why_not or "its figures are not to be quoted"
    if ratio.pairs < FEWEST_PAIRS:
        return f"{figures.count(ratio.pairs, 'pair')} of windows, and {FEWEST_PAIRS} are needed"
    ends = (ratio.low, ratio.ratio, ratio.high)
    if not all(math.isfinite(end) and end > 0 for end in ends):
        return "the ratio is not a number"
    if not ratio.low <= ratio.ratio <= ratio.high:
        return "the ratio lies outside of its own interval"
    return ""


def _ruling(ratio: RatioFacts) -> Ruling:
    if ratio.low >= 1 / ALIKE and ratio.high <= ALIKE:
        return "alike"
    # As it would be written: an interval from 1.00 has not left 1.
    return "undecided" if round(ratio.low, 2) <= 1 <= round(ratio.high, 2) else "different"


def _turned(ratio: RatioFacts) -> tuple[float, float]:
    """The interval with the larger figure over the smaller one."""
    if ratio.ratio >= 1:
        return ratio.low, ratio.high
    return 1 / ratio.high, 1 / ratio.low


def _worse_and_better(ratio: RatioFacts) -> tuple[str, str]:
    """More latency is worse, and so are fewer requests a second."""
    higher, lower = ratio.numerator, ratio.denominator
    if ratio.ratio < 1:
        higher, lower = lower, higher
    return (lower, higher) if ratio.quantity == "requests_per_second" else (higher, lower)


def sentence(claims: Sequence[ClaimFacts]) -> str:
    """Claims that differ in their protocol only, as one sentence.

    Args:
        claims: of one ruling, quantity, scenario and number of clients, and of the same servers.
    """
    first = claims[0]
    over = " and ".join(f"over {claim.protocol}" for claim in claims)
    what = "throughput" if first.quantity == "requests_per_second" else PERCENTILES[first.quantity]
    if first.ruling == "refused":
        return f"No claim about {what} {over}, {_manner(first)}"
    if first.ruling == "undecided":
        return f"No difference in {what} {over} that these runs can show, {_manner(first)}"
    if first.ruling == "alike":
        return (
            f"Both are within {100 * (ALIKE - 1):.0f} % of one another in {what} {over}, "
            f"{_manner(first)}"
        )
    if first.quantity == "requests_per_second":
        times = _each(claims, "as many requests a second")
        return f"{first.better} answers {times} as {first.worse}, {_manner(first)}"
    return f"{first.worse} is {_each(claims, f'slower at {what}')}, {_manner(first)}"


def _each(claims: Sequence[ClaimFacts], noun: str) -> str:
    """``1.8 to 2.1 times slower at p99 over REST and 2.0 to 2.4 times over gRPC``."""
    factors = [(factor(claim.low or 1, claim.high or 1), claim.protocol) for claim in claims]
    (times, protocol), *others = factors
    more = "".join(f" and {each} over {other}" for each, other in others)
    return f"{times} {noun} over {protocol}{more}"


def _manner(claim: ClaimFacts) -> str:
    if claim.clients is not None:
        return f"with {figures.count(claim.clients, 'request')} under way"
    return MANNERS[claim.scenario]


def headlines(claims: Sequence[ClaimFacts]) -> list[Evidence]:
    """The claims that belong on top: for each scenario its highest percentile, and the largest number of clients.

    What differs in the protocol only is one sentence; what cannot be claimed is one caution.
    """
    chosen = [claim for claim in claims if _is_chosen(claim, claims)]
    groups: dict[tuple[object, ...], list[ClaimFacts]] = {}
    for claim in chosen:
        if claim.ruling != "refused":
            key = (claim.scenario, claim.quantity, claim.clients, claim.ruling, claim.worse)
            groups.setdefault(key, []).append(claim)
    said = [Evidence(sentence(group), _intervals(group)) for group in groups.values()]
    refused = [claim for claim in chosen if claim.ruling == "refused"]
    if refused:
        each = (reason for claim in refused for reason in claim.figures.split("; "))
        reasons = "; ".join(dict.fromkeys(each))
        number = f"{len(refused)} of {figures.count(len(chosen), 'comparison')}"
        said.append(Evidence(f"No claim about {number}", reasons, caution=True))
    return said


def _is_chosen(claim: ClaimFacts, claims: Sequence[ClaimFacts]) -> bool:
    """Whether it is the highest percentile, or the largest number of clients, of its scenario."""
    peers = [each for each in claims if each.scenario == claim.scenario]
    if claim.quantity == "requests_per_second":
        counts = [each.clients or 0 for each in peers if each.quantity == claim.quantity]
        return (claim.clients or 0) == max(counts) and claim.scenario == "Offline"
    order = list(PERCENTILES)
    latencies = [order.index(each.quantity) for each in peers if each.quantity in PERCENTILES]
    return order.index(claim.quantity) == max(latencies)


def _intervals(claims: Sequence[ClaimFacts]) -> str:
    said = ", ".join(
        f"{claim.ratio:.2f} ({claim.low:.2f} to {claim.high:.2f}) over {claim.protocol}"
        for claim in claims
        if claim.ratio and claim.low and claim.high
    )
    short = "; short runs, not by MLPerf's rule" if claims[0].short else ""
    return f"ratio {said}" + ("; quick runs" if claims[0].quick else short)


def factor(low: float, high: float) -> str:
    """``1.8 to 2.1 times``; ``2.0 times`` where both ends are written alike."""
    places = 2 if low < 1.2 else 1 if low < 9.95 else 0
    ends = [f"{end:.{places}f}" for end in (low, high)]
    return f"{ends[0]} times" if ends[0] == ends[1] else f"{ends[0]} to {ends[1]} times"


def _figures(ratio: RatioFacts) -> str:
    return (
        f"{ratio.numerator} over {ratio.denominator}: {ratio.ratio:.2f}, "
        f"{100 * ratio.confidence:.0f} % interval {ratio.low:.2f} to {ratio.high:.2f}, "
        f"{ratio.pairs} pairs of windows in turn"
    )
