"""What was found, sent once more."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path

from benchmarks.fuzz.campaign import Say, Subject
from benchmarks.fuzz.findings import read_kept
from benchmarks.fuzz.good import check_goods
from benchmarks.fuzz.inputs.input import Input
from benchmarks.fuzz.lanes import http
from benchmarks.fuzz.lanes.answer import Answer, Came
from benchmarks.fuzz.lanes.http import HttpLane
from benchmarks.fuzz.lanes.parsing import ParsingLane
from benchmarks.fuzz.lanes.rpc import METHODS, RpcLane
from benchmarks.fuzz.oracles import judge

_SHOWN_BYTES = 400


def send_again(subject: Subject, places: Sequence[Path], deadline_seconds: float, say: Say) -> bool:
    """Send kept inputs one after another, then the good requests.

    Args:
        subject: is running.
        places: files and folders that a run has written.
        deadline_seconds: longest wait for an answer.
        say: told every answer.

    Returns:
        whether all is as it should be now.
    """
    is_fine = True
    with ExitStack() as lanes:
        host, port = subject.rest
        web = lanes.enter_context(closing(HttpLane(host, port, deadline_seconds)))
        rpc = lanes.enter_context(closing(RpcLane(subject.grpc, deadline_seconds)))
        parsing = lanes.enter_context(closing(ParsingLane(deadline_seconds)))

        def ask(sent: Input) -> Answer:
            lane = web if sent.kind in http.KINDS else rpc if sent.kind in METHODS else parsing
            return lane.ask([sent])[0]

        for sent in (each for place in places for each in read_kept(place)):
            answer = ask(sent)
            problem = judge(sent, answer)
            is_fine = is_fine and problem is None
            verdict = (
                "as it should be" if problem is None else f"{problem.oracle.value}: {problem.words}"
            )
            say(f"{sent.kind}: {_shown(answer)}: {verdict}")
        wrong = check_goods(subject.goods, [ask(good.sent) for good in subject.goods])
    for each in wrong:
        say(f"good: {each}")
    return is_fine and not wrong and subject.is_alive()


def _shown(answer: Answer) -> str:
    if answer.came is not Came.ANSWER:
        return str(answer.came.value)
    return f"{answer.status} {answer.content[:_SHOWN_BYTES].decode(errors='replace')}".rstrip()
