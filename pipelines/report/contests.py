"""Who is faster at what, who needs less, and by which ratio: sentences computed from measurements."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipelines.facts import Protocol, ServerFacts
from pipelines.report import figures
from pipelines.report.sides import PROTOCOLS, Side


@dataclass(frozen=True)
class Evidence:
    """One sentence: what holds, the figures that say so, and whether it is a caution."""

    claim: str
    figures: str = ""
    caution: bool = False


@dataclass(frozen=True)
class Entry:
    """One side's figure in a contest; ``text`` is how it is written."""

    who: str
    value: float
    text: str


@dataclass(frozen=True)
class Result:
    """The largest figure, the smallest one, and whether they can be told apart."""

    high: Entry
    low: Entry

    @property
    def tied(self) -> bool:
        return self.high.value / self.low.value < figures.SAME_RATIO

    @property
    def ratio(self) -> str:
        return figures.ratio(self.high.value, self.low.value)


def contests(columns: Sequence[Side], speed: bool = True) -> list[Evidence]:
    """Latency, throughput, start and memory; what was voided or measured on one side only is left out.

    Args:
        columns: the sides.
        speed: whether latency and throughput are among them: not where ``claims`` says it with intervals.
    """
    servers = [side.server for side in columns if side.server]
    fast = [*_latency(columns), *_throughput(columns)] if speed else []
    return [*fast, *_ready(servers), *_memory(servers)]


def _result(entries: Iterable[Entry]) -> Result | None:
    known = [entry for entry in entries if figures.is_known(entry.value) and entry.value > 0]
    if len(known) < 2:
        return None
    return Result(max(known, key=lambda e: e.value), min(known, key=lambda e: e.value))


def _latency(columns: Sequence[Side]) -> Iterable[Evidence]:
    def entries(protocol: Protocol) -> Iterable[Entry]:
        for side in columns:
            facts = side.latency.get(protocol)
            if facts and not facts.wrong:
                yield Entry(side.where, facts.p50_ms, figures.bare_milliseconds(facts.p50_ms))

    results = _by_protocol({protocol: _result(entries(protocol)) for protocol in PROTOCOLS})
    for winner, won in _by_winner(results, smallest=True).items():
        ratios = _joined(f"{result.ratio} over {protocol}" for protocol, result in won.items())
        numbers = _joined(f"{r.low.text} against {r.high.text} ms" for r in won.values())
        yield Evidence(f"{winner} answers one client faster, {ratios}", f"p50 of {numbers}")
    for protocol, result in results.items():
        if result.tied:
            numbers = f"p50 of {result.low.text} against {result.high.text} ms"
            yield Evidence(f"Both answer one {protocol} client equally fast", numbers)


def _throughput(columns: Sequence[Side]) -> Iterable[Evidence]:
    """At the largest number of clients that was measured."""
    clients = max((key[1] for side in columns for key in side.throughput), default=0)

    def entries(protocol: Protocol) -> Iterable[Entry]:
        for side in columns:
            facts = side.throughput.get((protocol, clients))
            if facts and not facts.wrong:
                rate = facts.requests_per_second
                yield Entry(side.where, rate, figures.rate(rate))

    results = _by_protocol({protocol: _result(entries(protocol)) for protocol in PROTOCOLS})
    for winner, won in _by_winner(results, smallest=False).items():
        ratios = _joined(f"{result.ratio} as much over {p}" for p, result in won.items())
        numbers = _joined(f"{r.high.text} against {r.low.text} requests/s" for r in won.values())
        yield Evidence(f"{winner} serves more to {clients} clients, {ratios}", numbers)
    for protocol, result in results.items():
        if result.tied:
            numbers = f"{result.high.text} against {result.low.text} requests/s"
            yield Evidence(f"Both serve {clients} {protocol} clients equally well", numbers)


def _ready(servers: Sequence[ServerFacts]) -> Iterable[Evidence]:
    result = _result(
        Entry(s.label, s.ready_seconds, figures.seconds(s.ready_seconds)) for s in servers
    )
    if result:
        claim = f"{result.low.who} gives its first correct answer {result.ratio} sooner"
        numbers = f"after {result.low.text} against {result.high.text}"
        yield Evidence("Both start equally fast" if result.tied else claim, numbers)


def _memory(servers: Sequence[ServerFacts]) -> Iterable[Evidence]:
    if len({server.memory_kind for server in servers}) != 1:  # PSS and RSS cannot be compared
        return
    result = _result(
        Entry(s.label, s.loaded_bytes, figures.data_size(s.loaded_bytes))
        for s in servers
        if s.loaded_bytes is not None
    )
    if result:
        claim = f"{result.high.who} needs {result.ratio} the memory of {result.low.who}"
        numbers = f"{result.high.text} against {result.low.text} after load"
        yield Evidence("Both need equally much memory" if result.tied else claim, numbers)


def _by_protocol(results: dict[Protocol, Result | None]) -> dict[Protocol, Result]:
    return {protocol: result for protocol, result in results.items() if result}


def _by_winner(
    results: dict[Protocol, Result], smallest: bool
) -> dict[str, dict[Protocol, Result]]:
    """Results that are no ties, by who won them, so that one winner gets one sentence."""
    winners: dict[str, dict[Protocol, Result]] = {}
    for protocol, result in results.items():
        if not result.tied:
            winner = result.low if smallest else result.high
            winners.setdefault(winner.who, {})[protocol] = result
    return winners


def _joined(parts: Iterable[str]) -> str:
    return " and ".join(parts)
