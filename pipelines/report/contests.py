"""Who starts sooner, who needs less, and by which ratio: sentences computed from measurements."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipelines.facts import ServerFacts
from pipelines.report import figures
from pipelines.report.sides import Side


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


def contests(columns: Sequence[Side]) -> list[Evidence]:
    """Start and memory; what was measured on one side only is left out. Of speed ``claims`` speaks."""
    servers = [side.server for side in columns if side.server]
    return [*_ready(servers), *_memory(servers)]


def _result(entries: Iterable[Entry]) -> Result | None:
    known = [entry for entry in entries if figures.is_known(entry.value) and entry.value > 0]
    if len(known) < 2:
        return None
    return Result(max(known, key=lambda e: e.value), min(known, key=lambda e: e.value))


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
