"""The embedded server's goals, each a figure with its goal, from what a run has seen.

Where a goal speaks of several cells, the worst of them counts and is named.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

from benchmarks.figures import Figure
from benchmarks.server.contestants import BY_NAME
from benchmarks.server.limits import EARLY_REQUESTS, Edges, InProcess, Limits
from benchmarks.server.results import Key, Measured, Results

FASTER, FASTER_BATCHING, BATCHING_GAIN = 1.5, 3.0, 1.5
NO_WORSE = 1.0
OVER_CALL_MS = 0.6
SHARE_OF_CALL = 0.7
SHARE_OF_PARSE = 0.5
MEMORY_GROWTH = 1.05
OVER_IMPORT_SECONDS = 1.5

EMBEDDED, HEAVY, EMPTY = "embedded", "mlp", "noop"
NO_PEER = "no peer to compare with"
Table = Mapping[Key, Measured]


@dataclass(frozen=True)
class Contest:
    """A cell of the embedded server against the best peer's same cell.

    ``p99_ratio`` is None where one of the two had too few answers for a p99.
    """

    cell: Key
    peer: str
    rate_ratio: float
    p99_ratio: float | None
    peer_rate: float

    def __str__(self) -> str:
        return f"{self.cell.batch} rows, {self.cell.clients} clients, against {self.peer}"


def figures_of(results: Results, limits: Limits) -> list[Figure]:
    """Every goal, whether it could be measured or not."""
    table = results.measured()
    pairs = sorted({(key.subject, key.protocol) for key in table})
    figures = [
        figure
        for subject, protocol in pairs
        for figure in _against_peers(table, subject, protocol, limits.in_process)
    ]
    figures += [_gain(table, protocol) for protocol in ("REST", "gRPC")]
    figures += _against_call(table, limits.in_process)
    figures += _edges(limits.edges, limits.in_process)
    return [*figures, _readiness(results, limits.in_process)]


def contests(table: Table, subject: str, protocol: str, batching: bool) -> list[Contest]:
    """Every cell of the embedded server that at least one Python peer has, too.

    With batching on, a peer that has none competes as it is.
    """
    cells = [
        key
        for key in table
        if (key.server, key.subject, key.protocol, key.batching)
        == (EMBEDDED, subject, protocol, batching)
    ]
    return [contest for cell in cells if (contest := _contest(table, cell)) is not None]


def _contest(table: Table, cell: Key) -> Contest | None:
    ours, (peer, best) = table[cell], _best_peer(table, cell)
    if best is None or best.rate is None:
        return None
    if ours.rate is None:  # void: nothing was won
        return Contest(cell, peer, 0.0, float("inf"), best.rate)
    return Contest(cell, peer, ours.rate / best.rate, _ratio(ours.p99_ms, best.p99_ms), best.rate)


def _best_peer(table: Table, cell: Key) -> tuple[str, Measured | None]:
    found: dict[str, Measured] = {}
    for name, contestant in BY_NAME.items():
        if contestant.kind == "peer":
            key = cell.of(name, cell.batching and contestant.batches)
            if key in table and table[key].rate is not None:
                found[name] = table[key]
    if not found:
        return "", None
    best = max(found, key=lambda name: found[name].rate or 0)
    return best, found[best]


def _against_peers(
    table: Table, subject: str, protocol: str, limit: InProcess | None
) -> list[Figure]:
    off = contests(table, subject, protocol, False)
    on = [each for each in contests(table, subject, protocol, True) if each.cell.batch == 1]
    full = [each for each in on if each.cell.clients == max(each.cell.clients for each in on)]
    title = f"{subject}, {protocol}"
    rates = partial(_rates, table, limit)
    return [
        rates(f"{title}: requests a second, of the best peer's", off, FASTER),
        _p99s(f"{title}: p99, of the best peer's", off),
        rates(
            f"{title}: requests a second with batching, of the best peer's", full, FASTER_BATCHING
        ),
        _p99s(f"{title}: p99 with batching, of the best peer's", full),
    ]


def _rates(
    table: Table, limit: InProcess | None, name: str, found: list[Contest], least: float
) -> Figure:
    """The worst cell's; where the goal is more than the model itself can do, that is said."""
    if not found:
        return Figure(name, None, "×", least=least, note=NO_PEER)
    worst = min(found, key=lambda each: each.rate_ratio)
    note = str(worst) + (_beyond_the_model(table, worst, least, limit) if limit else "")
    return Figure(name, worst.rate_ratio, "×", least=least, note=note)


def _p99s(name: str, found: list[Contest]) -> Figure:
    """The worst cell's, of those with enough answers."""
    known = [(each.p99_ratio, each) for each in found if each.p99_ratio is not None]
    if not known:
        why = "too few answers for a p99" if found else NO_PEER
        return Figure(name, None, "×", most=NO_WORSE, note=why)
    ratio, worst = max(known, key=lambda each: each[0])
    missing = len(found) - len(known)
    note = f"{worst}; {missing} more with too few answers" if missing else str(worst)
    return Figure(name, ratio, "×", most=NO_WORSE, note=note)


def _beyond_the_model(table: Table, contest: Contest, least: float, limit: InProcess) -> str:
    """Whether the peer is so near to what the processors can do that nobody can be so much quicker."""
    is_alone = contest.cell.clients == 1  # so nothing is done beside its call
    rates = limit.heavy_rate_of_one if is_alone else limit.heavy_rate
    if contest.cell.subject != HEAVY or not rates:
        return ""
    rows = contest.cell.batch
    if contest.cell.batching and not is_alone:  # rows of requests travel together
        most = max(rates[size] * max(size // rows, 1) for size in rates)
    else:
        most = rates[rows]
    goal = least * contest.peer_rate
    said = f"; the goal, {goal:,.0f} a second, is beyond"
    if goal > most:
        return f"{said} the bare call's {most:,.0f}{' to one caller' if is_alone else ''}"
    around = _ms_around_the_call(table, contest.cell)
    beside = 1000 / (1000 / most + around / (1 if is_alone else limit.processors))
    if goal > beside:
        return (
            f"{said} {beside:,.0f}: what the processors can do beside the {around:.2f} ms of a request "
            "that the load client and a server without a model take"
        )
    return ""


def _ms_around_the_call(table: Table, cell: Key) -> float:
    """Processor time of a request but for its model's: the load client's, and the embedded server's for a
    model that computes nothing. What was not measured counts as nothing."""
    with_model, without = table.get(cell), table.get(replace(cell, subject=EMPTY))
    client = with_model and with_model.client_cpu_seconds_per_1000
    server = without and without.cpu_seconds_per_1000
    return (client or 0.0) + (server or 0.0)


def _gain(table: Table, protocol: str) -> Figure:
    """One-row requests from the most clients: batching on against off."""
    name = f"digits, {protocol}: batching on, of off"
    cells = [
        key
        for key in table
        if (key.server, key.subject, key.protocol, key.batch, key.batching)
        == (EMBEDDED, "digits", protocol, 1, True)
    ]
    if not cells:
        return Figure(name, None, "×", least=BATCHING_GAIN)
    cell = max(cells, key=lambda key: key.clients)
    value = _ratio(_rate(table, cell), _rate(table, cell.of(EMBEDDED, False)))
    return Figure(name, value, "×", least=BATCHING_GAIN, note=f"1 row, {cell.clients} clients")


def _against_call(table: Table, limit: InProcess | None) -> list[Figure]:
    single = table.get(Key("digits", "gRPC", False, 1, 1, EMBEDDED))
    over = single.p50_ms - limit.call_ms[1] if single and single.p50_ms and limit else None
    note = f"the call alone takes {limit.call_ms[1]:.2f} ms ({limit.way[1]})" if limit else ""
    figures = [Figure("digits, gRPC: p50 over the call", over, "ms", most=OVER_CALL_MS, note=note)]
    for protocol in ("gRPC", "REST"):
        rate = _rate(table, Key("digits", protocol, False, 32, 8, EMBEDDED))
        bare = 1000 / limit.call_ms[32] if limit else None
        figures.append(
            Figure(
                f"digits, {protocol}: 32 rows, 8 clients, of the call's throughput",
                _ratio(rate, bare),
                "×",
                least=SHARE_OF_CALL,
                note=f"the call alone does {bare:,.0f} a second" if bare else "",
            )
        )
    return figures


def _edges(edges: Edges | None, limit: InProcess | None) -> list[Figure]:
    large = edges.large if edges and not edges.large.wrong else None
    bare = limit.large_parse_ms + limit.call_ms[limit.large_rows] if limit else None
    share = bare / large.p50_ms if large and bare and large.p50_ms else None
    growth = edges.late_bytes / edges.early_bytes if edges and not edges.steady_wrong else None
    return [
        Figure(
            "digits, REST: 1 MB of JSON, speed of bare parse and call",
            share,
            "×",
            least=SHARE_OF_PARSE,
            note=_large_note(limit, edges),
        ),
        Figure(
            "memory after the last request, of that after the first 2,000",
            growth,
            "×",
            most=MEMORY_GROWTH,
            note=_memory_note(edges),
        ),
        *(_many(protocol, edges) for protocol in ("REST", "gRPC")),
    ]


def _large_note(limit: InProcess | None, edges: Edges | None) -> str:
    if limit is None or edges is None:
        return ""
    return edges.large.problem or (
        f"{limit.large_rows} rows: parse {limit.large_parse_ms:.1f} ms, "
        f"call {limit.call_ms[limit.large_rows]:.1f} ms, answered in {edges.large.p50_ms:.1f} ms"
    )


def _memory_note(edges: Edges | None) -> str:
    if edges is None:
        return ""
    return edges.steady_wrong or (
        f"{edges.early_bytes / 1e6:.0f} MB after {EARLY_REQUESTS:,}, "
        f"{edges.late_bytes / 1e6:.0f} MB after {edges.late_requests:,}"
    )


def _many(protocol: str, edges: Edges | None) -> Figure:
    seen = edges.many[protocol] if edges else None
    name = f"{protocol}: simultaneous connections, answers that were wrong or missing"
    if seen is None or not (seen.answers or seen.wrong):
        return Figure(name, None, most=0)
    note = seen.problem or f"{seen.clients} connections, {seen.answers:,} right answers"
    return Figure(name, seen.wrong, most=0, note=note)


def _readiness(results: Results, limit: InProcess | None) -> Figure:
    start = results.start_of(EMBEDDED, "digits", False)
    over = start.ready_seconds - limit.import_seconds if start and limit else None
    note = ""
    if start and limit:
        note = (
            f"{start.ready_seconds:.1f} s; importing TensorFlow takes {limit.import_seconds:.1f} s"
        )
    name = "ready after TensorFlow's own import"
    return Figure(name, over, "s", most=OVER_IMPORT_SECONDS, note=note)


def _rate(table: Table, key: Key) -> float | None:
    return table[key].rate if key in table else None


def _ratio(over: float | None, under: float | None) -> float | None:
    return over / under if over is not None and under else None
