"""Chunk by chunk: make inputs, send them, judge every answer, then ask something good."""

from __future__ import annotations

import socket
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from typing import Protocol

from benchmarks.fuzz import guided
from benchmarks.fuzz.findings import Findings
from benchmarks.fuzz.good import Good, check_goods
from benchmarks.fuzz.inputs import http as http_inputs
from benchmarks.fuzz.inputs.input import Input, Inputs
from benchmarks.fuzz.inputs.making import make_inputs
from benchmarks.fuzz.inputs.messages import RPC
from benchmarks.fuzz.inputs.settings import SETTINGS
from benchmarks.fuzz.inputs.texts import TEXTS
from benchmarks.fuzz.lanes import http
from benchmarks.fuzz.lanes.answer import Answer, Came, Lane
from benchmarks.fuzz.lanes.http import HttpLane
from benchmarks.fuzz.lanes.parsing import ParsingLane
from benchmarks.fuzz.lanes.rpc import METHODS, RpcLane
from benchmarks.fuzz.oracles import Oracle, Problem, judge
from benchmarks.fuzz.plan import Chunk, Plan, chunks_of
from benchmarks.fuzz.watch import Asked, Watch, comes_true

STRATEGIES: Mapping[str, Inputs] = {
    "rest": http_inputs.REST,
    "urls": http_inputs.URLS,
    "rpc": RPC,
    "settings": SETTINGS,
    "parsers": TEXTS,
}
"""By target; ``guided`` begins with inputs of the last two."""

_SAY_EVERY_SECONDS = 5.0
_MOST_ASKED_AGAIN = 3
_LOOKS, _LOOK_SECONDS = 3, 0.02

Say = Callable[[str], None]


class Subject(Asked, Protocol):
    """What is under test; ``subject`` has the real one."""

    @property
    def rest(self) -> tuple[str, int]: ...
    @property
    def grpc(self) -> str: ...
    @property
    def goods(self) -> Sequence[Good]: ...


@dataclass
class Outcome:
    """What came of a run.

    Attributes:
        findings: what was not as it should be.
        sent: inputs by target.
        goods: good requests that were asked.
        covered: branches that atheris reached, by parser.
        memory_bytes: of the server after a tenth of the run, and at its end.
        seconds: of the whole run.
        ended: why before all inputs were sent; empty where all were.
    """

    findings: Findings
    sent: Counter[str] = field(default_factory=Counter)
    goods: int = 0
    covered: dict[str, int] = field(default_factory=dict)
    memory_bytes: tuple[int, int] = (0, 0)
    seconds: float = 0.0
    ended: str = ""


class Campaign:
    """One run against one subject.

    Args:
        subject: is running; is not stopped here.
        plan: what is sent.
        findings: takes what is found.
        say: told how it goes.
    """

    def __init__(self, subject: Subject, plan: Plan, findings: Findings, say: Say) -> None:
        self._subject, self._findings, self._say = subject, findings, say
        self._plan = plan = without_guided(plan, say)
        self._watch = Watch(subject, findings, plan.growth_bytes)
        self.outcome = Outcome(findings)
        self._lanes = ExitStack()
        host, port = subject.rest
        self._http = self._lanes.enter_context(closing(HttpLane(host, port, plan.deadline_seconds)))
        self._rpc = self._lanes.enter_context(closing(RpcLane(subject.grpc, plan.deadline_seconds)))
        self._parsing = self._lanes.enter_context(closing(ParsingLane(plan.deadline_seconds)))

    def run(self) -> Outcome:
        """Send everything, or as much as may be."""
        started = said = time.monotonic()
        chunks = chunks_of(self._plan)
        with self._lanes:
            self._ask_goods("before", -1, ())
            for done, chunk in enumerate(chunks):
                self.outcome.ended = self._why_end(time.monotonic() - started if done else 0.0)
                if self.outcome.ended:
                    break
                if done == max(len(chunks) // 10, 1):
                    self._watch.start()
                self._send(chunk)
                if time.monotonic() - said > _SAY_EVERY_SECONDS:
                    said = time.monotonic()
                    self._say(self._progress(said - started))
        self.outcome.memory_bytes = self._watch.end()
        self.outcome.seconds = time.monotonic() - started
        return self.outcome

    def _why_end(self, seconds: float) -> str:
        if not self._subject.is_alive():
            return "the server has ended"
        if self._plan.seconds is not None and seconds > self._plan.seconds:
            return f"{self._plan.seconds:g} seconds are over"
        if len(self._findings) >= self._plan.most_findings:
            return f"{len(self._findings)} findings are enough"
        return ""

    def _progress(self, seconds: float) -> str:
        sent = self.outcome.sent.total()
        return (
            f"{sent:,} of {self._plan.inputs:,} inputs, {sent / seconds:,.0f} a second, "
            f"{len(self._findings)} findings"
        )

    def _send(self, chunk: Chunk) -> None:
        if chunk.target == "guided":
            self._guide(chunk)
            return
        place = (self._plan.seed, chunk.target, chunk.number)
        inputs = make_inputs(STRATEGIES[chunk.target], chunk.size, *place)
        lane = self._lane_of(inputs[0])
        answers = lane.ask(inputs)
        self.outcome.sent[chunk.target] += len(inputs)
        if not self._has_ended(answers):
            self._judge(chunk, lane, inputs, answers)
            self._ask_goods(chunk.target, chunk.number, inputs)
        else:
            suspects = [
                sent
                for sent, answer in zip(inputs, answers, strict=True)
                if answer.came is Came.CLOSED or sent.kind == http.CUT
            ]
            self._watch.add_death(chunk.target, chunk.number, suspects or inputs)
        self._watch.read_log(chunk.target, chunk.number, inputs)

    def _has_ended(self, answers: Sequence[Answer]) -> bool:
        """A process that ends closes its sockets first; on a busy machine it is still there for a moment then."""
        if any(answer.came is Came.CLOSED for answer in answers):
            for _ in range(_LOOKS):
                if not _listens(self._subject.rest):
                    comes_true(lambda: not self._subject.is_alive())
                    break
                time.sleep(_LOOK_SECONDS)
        return not self._subject.is_alive()

    def _lane_of(self, sent: Input) -> Lane:
        if sent.kind in http.KINDS:
            return self._http
        return self._rpc if sent.kind in METHODS else self._parsing

    def _judge(
        self, chunk: Chunk, lane: Lane, inputs: Sequence[Input], answers: Sequence[Answer]
    ) -> None:
        found = [
            (sent, problem)
            for sent, answer in zip(inputs, answers, strict=True)
            if (problem := judge(sent, answer)) is not None
        ]
        for sent, problem in confirmed(lane, found):
            self._findings.add(problem, chunk.target, chunk.number, [sent])

    def _ask_goods(self, target: str, number: int, inputs: Sequence[Input]) -> None:
        """What comes after everything odd must be right."""
        goods = self._subject.goods
        answers = [self._lane_of(good.sent).ask([good.sent])[0] for good in goods]
        self.outcome.goods += len(goods)
        for wrong in check_goods(goods, answers):
            self._findings.add(Problem(Oracle.GOOD, wrong), target, number, inputs)

    def _guide(self, chunk: Chunk) -> None:
        """A chunk of all runs of one parser after the other would be mostly starting."""
        parser = guided.PARSERS[chunk.number % len(guided.PARSERS)]
        place = (self._plan.seed, "guided", chunk.number)
        seeds = [
            each
            for strategy in (SETTINGS, TEXTS)
            for each in make_inputs(strategy, 100, *place)
            if each.kind == parser
        ]
        found = guided.run_guided(
            parser, seeds, chunk.size, self._plan.seed + chunk.number, self._plan.deadline_seconds
        )
        self.outcome.sent["guided"] += chunk.size
        if found.covered is not None:
            self.outcome.covered[parser] = max(found.covered, self.outcome.covered.get(parser, 0))
        if found.wrong:
            problem = Problem(Oracle.PARSER, f"{parser}: {found.wrong}")
            self._findings.add(problem, "guided", chunk.number, found.inputs)


def _listens(address: tuple[str, int]) -> bool:
    try:
        with socket.create_connection(address, timeout=5):
            return True
    except ConnectionError:
        return False
    except OSError:  # too busy to take it
        return True


def confirmed(lane: Lane, found: Sequence[tuple[Input, Problem]]) -> list[tuple[Input, Problem]]:
    """The problems, without the hangs of those that only waited behind another one.

    Where one request keeps the server busy, others beside it get no answer either; asked alone, they do. If
    all do, none is left out. After some that hang again the others are not asked.
    """
    hung = [each for each in found if each[1].oracle is Oracle.HANG]
    again, behind = 0, []
    for each in hung if len(hung) > 1 else ():
        if again == _MOST_ASKED_AGAIN:
            break
        if judge(each[0], lane.ask([each[0]])[0]) is None:
            behind.append(each)
        else:
            again += 1
    return [each for each in found if not again or each not in behind]


def without_guided(plan: Plan, say: Say) -> Plan:
    """The plan as it can be carried out: without atheris, its share goes to ``parsers``."""
    if "guided" not in plan.targets or guided.is_installed():
        return plan
    say(f"guided is left out, for atheris is not installed: {guided.HOW_TO_INSTALL}")
    targets = tuple(name for name in plan.targets if name != "guided")
    return replace(plan, targets=targets or ("parsers",))
