"""A measurement in the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.table import Table

from pipelines.facts import ConditionsFacts, LoadedFacts, LoadFacts, RatioFacts, ScenarioFacts

QUICK_NOTE = "Quick: short windows, for a look. Quote figures of `make measure` only."
SHORT_NOTE = (
    "SHORT: {seconds:g} s a scenario, {window:g} s a window; not by MLPerf's rule, which is 600 s."
)
SCENARIO_COLUMNS = {
    "req/s": 7, "requests": 8, "p50 ms": 7, "p90 ms": 7, "p99 ms": 7, "p99.9 ms": 8,
}  # fmt: skip
"""With their least widths, so that the tables of all endpoints stand in line."""
APART = "~"
"""Behind a figure whose own windows differ too much."""
APART_NOTE = (
    f"{APART} UNSTABLE: the windows of this figure differ by more than 10 % from their median."
)


def print_load(console: Console, load: LoadFacts) -> None:
    """Scenarios, throughput, knees, ratios, and what stands against them."""
    if load.quick:
        console.print(QUICK_NOTE, style="yellow", highlight=False)
    if load.short:
        seconds = load.seconds_per_scenario
        say(console, SHORT_NOTE.format(seconds=seconds, window=seconds / load.windows), "yellow")
    _print_scenarios(console, load.scenarios)
    if any(each.unstable for each in load.scenarios):
        say(console, APART_NOTE)
    console.print(_throughput(load))
    for knee in load.knees:
        most = (
            "below the sweep" if knee.per_second is None else f"{knee.per_second:,.0f} requests/s"
        )
        say(console, f"{knee.server} · {knee.protocol} keeps up to {most}: {knee.why}")
    console.print(_ratios(load.ratios))
    console.print(_conditions(load.conditions))
    for sentence in load.differences:
        say(console, f"Not alike: {sentence}", "yellow")


def marks(facts: LoadedFacts) -> str:
    """What must be known before a figure is quoted."""
    return ", ".join(_marks(facts))


def _marks(facts: LoadedFacts) -> Iterator[str]:
    if facts.validity != "VALID":
        yield facts.validity
    if facts.unstable:
        yield f"UNSTABLE ±{100 * (facts.spread or 0):.0f} %"
    if facts.client and facts.client.saturated:
        yield "SATURATED"


def _print_scenarios(console: Console, scenarios: Sequence[ScenarioFacts]) -> None:
    """A table an endpoint, in the same columns, within 80; the servers stand side by side among the ratios."""
    by_endpoint: dict[str, list[ScenarioFacts]] = {}
    for each in scenarios:
        by_endpoint.setdefault(f"{each.server} · {each.protocol}", []).append(each)
    for endpoint, mine in by_endpoint.items():
        console.print(f"[bold]{endpoint}[/]", highlight=False)
        table = Table(box=None, pad_edge=False, collapse_padding=True)
        table.add_column("  scenario", min_width=14, no_wrap=True)
        for column, width in SCENARIO_COLUMNS.items():
            table.add_column(column, justify="right", min_width=width, no_wrap=True)
        table.add_column("")
        for each in mine:
            table.add_row(*_scenario_cells(each))
        console.print(table)


def _scenario_cells(facts: ScenarioFacts) -> tuple[str, ...]:
    void = facts.validity == "VOID"
    return (
        f"  {facts.scenario}",
        "" if void else f"{facts.requests_per_second:,.0f}" + _sign(facts, "requests_per_second"),
        f"{facts.requests:,}",
        *("" if void else _percentile(facts, rank) for rank in (50, 90, 99, 99.9)),
        marks(facts),
    )


def _throughput(load: LoadFacts) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("endpoint")
    for column in ("clients", "requests/s"):
        table.add_column(column, justify="right")
    table.add_column("")
    for row in load.throughput:
        rate = "" if row.validity == "VOID" else f"{row.requests_per_second:,.0f}"
        table.add_row(f"{row.server} · {row.protocol}", str(row.clients), rate, marks(row))
    return table


def _ratios(ratios: Sequence[RatioFacts]) -> Table:
    """One server's figures over the other's, with their intervals."""
    first = ratios[0] if ratios else None
    title = f"{first.numerator} / {first.denominator}" if first else "no ratios"
    table = Table(box=None, pad_edge=False)
    table.add_column(title)
    table.add_column("ratio", justify="right")
    table.add_column("95 % interval", justify="right")
    table.add_column("")
    for ratio in ratios:
        what = _clients(ratio.clients) if ratio.clients else ratio.scenario
        quantity = ratio.quantity.replace("_ms", "").replace("_", " ")
        table.add_row(
            f"{ratio.protocol}, {what}, {quantity}",
            f"{ratio.ratio:.2f}",
            f"{ratio.low:.2f} to {ratio.high:.2f}",
            "" if ratio.usable else "not to be quoted",
        )
    return table


def _clients(number: int) -> str:
    return f"{number} client" if number == 1 else f"{number} clients"


def _conditions(rows: Sequence[ConditionsFacts]) -> Table:
    """What each endpoint was measured with; "?" where a container does not say."""
    table = Table(box=None, pad_edge=False, collapse_padding=True)
    table.add_column("measured with", no_wrap=True)
    for column in ("rows", "request bytes", "answer bytes", "workers", "threads", "client threads"):
        table.add_column(column, justify="right")
    for each in rows:
        numbers = (each.rows, each.request_bytes, each.answer_bytes, each.workers, each.threads)
        cells = ["?" if number is None else f"{number:,}" for number in numbers]
        table.add_row(f"{each.server} · {each.protocol}", *cells, str(each.client_threads))
    return table


def _percentile(facts: ScenarioFacts, rank: float) -> str:
    found = facts.percentile(rank)
    return f"{found.ms:.2f}{_sign(facts, f'p{rank:g}_ms')}" if found else "–"


def _sign(facts: LoadedFacts, quantity: str) -> str:
    return APART if facts.is_unstable(quantity) else ""


def say(console: Console, text: str, style: str = "") -> None:
    """A sentence as it is: its numbers are not coloured, its line is not broken."""
    console.print(text, style=style, highlight=False, soft_wrap=True)
