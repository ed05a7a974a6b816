"""The side-by-side comparison: one column for each framework and the server it runs in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import get_args

from models.framework import FrameworkName
from pipelines.facts import (
    ArtifactFacts,
    LoadedFacts,
    Protocol,
    QualityFacts,
    RunReport,
    ScenarioFacts,
    ServerFacts,
    ThroughputFacts,
    TrainingFacts,
)
from pipelines.report import figures
from pipelines.report.marks import Mark, in_words, is_drawn, marks_of

FRAMEWORKS: dict[str, str] = {"tensorflow": "TensorFlow", "pytorch": "PyTorch"}
PROTOCOLS: tuple[Protocol, ...] = get_args(Protocol)


@dataclass(frozen=True)
class Side:
    """Everything known about one column. What was not measured is None or absent."""

    framework: FrameworkName
    server: ServerFacts | None
    training: TrainingFacts | None
    artifacts: tuple[ArtifactFacts, ...]
    latency: dict[Protocol, ScenarioFacts]
    throughput: dict[tuple[Protocol, int], ThroughputFacts]
    served_difference: float | None
    quality: QualityFacts | None = None

    @property
    def name(self) -> str:
        return FRAMEWORKS[self.framework]

    @property
    def where(self) -> str:
        """The server's label as it stands: it says what exactly ran."""
        return self.server.label if self.server else "not served"


@dataclass(frozen=True)
class Line:
    """One row of the comparison: ``cells`` in the order of the sides."""

    group: str
    label: str
    cells: tuple[str, ...]


def is_of(server: ServerFacts, text: str) -> bool:
    """Whether ``text`` (``TorchServe`` or ``TorchServe · gRPC``) speaks of this server."""
    named = text.split(" · ", maxsplit=1)[0].casefold()
    name, label = server.name.casefold(), server.label.casefold()
    return bool(named) and (named in (name, label) or label.startswith(named))


def server_label(report: RunReport, text: str) -> str:
    """The full label of the server that ``text`` names, or ``text`` itself."""
    return next((server.label for server in report.servers if is_of(server, text)), text)


def framework_of(report: RunReport, text: str) -> FrameworkName | None:
    """The framework behind the server that ``text`` names."""
    return next((server.framework for server in report.servers if is_of(server, text)), None)


def sides(report: RunReport) -> tuple[Side, ...]:
    """The columns: every server in order, then frameworks that were trained but not served."""
    served = [_side(report, server.framework, server) for server in report.servers]
    seen = {side.framework for side in served}
    known = {facts.framework for facts in report.training} | {a.framework for a in report.artifacts}
    alone = [_side(report, name, None) for name in get_args(FrameworkName) if name in known - seen]
    return tuple(sorted((*served, *alone), key=lambda side: list(FRAMEWORKS).index(side.framework)))


def _side(report: RunReport, framework: FrameworkName, server: ServerFacts | None) -> Side:
    def ours(text: str) -> bool:
        return server is not None and is_of(server, text)

    compared = [row for row in report.parity if row.stage == "check" and not row.error]
    gaps = [row.max_abs for row in compared if ours(row.subject)]
    return Side(
        framework=framework,
        server=server,
        training=next((facts for facts in report.training if facts.framework == framework), None),
        artifacts=tuple(facts for facts in report.artifacts if facts.framework == framework),
        latency={
            facts.protocol: facts
            for facts in (report.load.one_client if report.load else ())
            if ours(facts.server)
        },
        throughput={
            (facts.protocol, facts.clients): facts
            for facts in (report.load.throughput if report.load else ())
            if ours(facts.server)
        },
        quality=next((facts for facts in report.quality if facts.framework == framework), None),
        served_difference=max((gap for gap in gaps if figures.is_known(gap)), default=None),
    )


def comparison(report: RunReport) -> tuple[Line, ...]:
    """The rows, those without any figure left out."""
    columns = sides(report)
    lines = (*_model_lines(columns), *_server_lines(columns), *_speed_lines(columns))
    return tuple(
        line for line in lines if any(cell not in ("", figures.UNKNOWN) for cell in line.cells)
    )


def _model_lines(columns: tuple[Side, ...]) -> Iterable[Line]:
    yield _line(
        "Model",
        "Test accuracy",
        columns,
        lambda side: figures.percent(side.training.test_accuracy if side.training else None),
    )
    yield _line("Model", "ROC AUC", columns, _roc_auc)
    yield _line("Model", "Exported files", columns, _sizes)
    yield _line(
        "Model",
        "Largest served difference",
        columns,
        lambda side: figures.difference(side.served_difference),
    )


def _roc_auc(side: Side) -> str:
    return f"{side.quality.roc_auc:.4f}" if side.quality else ""


def _sizes(side: Side) -> str:
    return "\n".join(f"{facts.format} {figures.data_size(facts.bytes)}" for facts in side.artifacts)


SHOWN = 3
PLACES = {"process": "as a process", "container": "in a container"}


def _server_lines(columns: tuple[Side, ...]) -> Iterable[Line]:
    yield _line(
        "Server",
        "Runs",
        columns,
        lambda side: PLACES.get(side.server.where, side.server.where) if side.server else "",
    )
    yield _line(
        "Server",
        "First correct answer after",
        columns,
        lambda side: figures.seconds(side.server.ready_seconds if side.server else None),
    )
    yield _line("Server", "Memory, idle / loaded", columns, _memory)
    yield _line(
        "Server",
        "Processor time per answer",
        columns,
        lambda side: figures.milliseconds(side.server.cpu_ms_per_answer if side.server else None),
    )


def _memory(side: Side) -> str:
    if side.server is None or (side.server.idle_bytes is None and side.server.loaded_bytes is None):
        return figures.UNKNOWN
    idle, loaded = side.server.idle_bytes, side.server.loaded_bytes
    return f"{figures.data_size(idle)} / {figures.data_size(loaded)}"


def _speed_lines(columns: tuple[Side, ...]) -> Iterable[Line]:
    for protocol in PROTOCOLS:
        label = f"{protocol} p50/p90/p99, ms"
        yield _line("Latency", label, columns, partial(_latency, protocol=protocol))
    for protocol in PROTOCOLS:
        clients = _few(
            sorted({key[1] for side in columns for key in side.throughput if key[0] == protocol})
        )
        label = f"{protocol} req/s, {'/'.join(map(str, clients))} clients"
        cell = partial(_throughput, protocol=protocol, clients=clients)
        yield _line("Throughput", label, columns, cell)


def _few(numbers: list[int]) -> list[int]:
    """The first, the middle and the last: as many as fit into a cell."""
    if len(numbers) <= SHOWN:
        return numbers
    return [numbers[0], numbers[len(numbers) // 2], numbers[-1]]


def _latency(side: Side, protocol: Protocol) -> str:
    facts = side.latency.get(protocol)
    if facts is None:
        return figures.UNKNOWN
    if not is_drawn(facts):
        return voided(facts)
    found = [facts.percentile(rank) for rank in (50, 90, 99)]
    written = [figures.bare_milliseconds(each.ms) if each else figures.TOO_FEW for each in found]
    return _marked(" / ".join(written), marks_of(facts, ""))


def _throughput(side: Side, protocol: Protocol, clients: list[int]) -> str:
    measured = [side.throughput.get((protocol, number)) for number in clients]
    if not any(measured):
        return figures.UNKNOWN
    marks = [mark for facts in measured if facts for mark in marks_of(facts, "")]
    return _marked(" / ".join(_rate(facts) for facts in measured), marks)


def _marked(written: str, marks: Sequence[Mark]) -> str:
    """Figures with what stands against them in the line below; that they are void stands in their place."""
    words = in_words([mark for mark in marks if mark.word != "VOID"])
    return f"{written}\n{words}" if words else written


def _rate(facts: ThroughputFacts | None) -> str:
    if facts is None:
        return figures.UNKNOWN
    return figures.rate(facts.requests_per_second) if is_drawn(facts) else figures.VOIDED


def voided(facts: LoadedFacts) -> str:
    """Why no figure is given: ``voided: 3 of 500 answers wrong``."""
    return f"{figures.VOIDED}: {facts.wrong:,} of {facts.requests:,} answers wrong"


def _line(group: str, label: str, columns: tuple[Side, ...], cell: Callable[[Side], str]) -> Line:
    return Line(group, label, tuple(cell(side) for side in columns))
