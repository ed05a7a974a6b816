"""Each oracle bites: a server that is wrong in one way is found out, by the rule meant for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks.fuzz import parsers
from benchmarks.fuzz.again import send_again
from benchmarks.fuzz.campaign import Campaign, Outcome
from benchmarks.fuzz.findings import Findings, read_kept
from benchmarks.fuzz.inputs.input import Input
from benchmarks.fuzz.lanes.answer import Answer, Came
from benchmarks.fuzz.lanes.parsing import ParsingLane
from benchmarks.fuzz.oracles import Oracle, judge
from benchmarks.fuzz.plan import Plan
from benchmarks.fuzz.subject import Subject
from tests.benchmarks.fuzz.conftest import MakeFake

SMALL = Plan(
    inputs=200,
    targets=("rest", "rpc"),
    chunk=20,
    deadline_seconds=1.5,
    growth_bytes=20 << 20,
    most_findings=5,
)


def run(subject: Subject, folder: Path) -> Outcome:
    return Campaign(subject, SMALL, Findings(folder), lambda line: None).run()


def oracles(outcome: Outcome) -> set[Oracle]:
    return {finding.problem.oracle for finding in outcome.findings.kept}


@pytest.mark.servers
class TestFakes:
    def test_the_one_without_a_fault(self, make_fake: MakeFake, tmp_path: Path) -> None:
        outcome = run(make_fake("fine"), tmp_path / "found")
        assert not outcome.findings.kept
        assert outcome.sent.total() == SMALL.inputs
        assert not (tmp_path / "found").exists()

    @pytest.mark.parametrize(
        ("mode", "oracle"),
        [
            ("status", Oracle.STATUS),
            ("page", Oracle.BODY),
            ("word", Oracle.BODY),
            ("hang", Oracle.HANG),
            ("busy", Oracle.HANG),
            ("close", Oracle.CLOSED),
            ("wrong", Oracle.GOOD),
            ("internal", Oracle.CODE),
            ("unknown", Oracle.CODE),
            ("dumb", Oracle.CODE),
            ("grow", Oracle.MEMORY),
            ("files", Oracle.FILES),
            ("trace", Oracle.LOG),
        ],
    )
    def test_a_fault(self, make_fake: MakeFake, tmp_path: Path, mode: str, oracle: Oracle) -> None:
        outcome = run(make_fake(mode), tmp_path / "found")
        # A server that is busy may keep the good request waiting as well.
        allowed = {oracle, Oracle.GOOD} if mode == "busy" else {oracle}
        assert {oracle} <= oracles(outcome) <= allowed

    def test_one_that_ends(self, make_fake: MakeFake, tmp_path: Path) -> None:
        outcome = run(make_fake("die"), tmp_path / "found")
        assert oracles(outcome) == {Oracle.DIED}
        assert outcome.ended == "the server has ended"
        assert outcome.sent.total() < SMALL.inputs
        suspects = outcome.findings.kept[0].inputs
        assert 0 < len(suspects) <= SMALL.chunk

    def test_what_was_found_can_be_sent_again(self, make_fake: MakeFake, tmp_path: Path) -> None:
        found = run(make_fake("status"), tmp_path / "found").findings.kept[0]
        assert found.place is not None
        assert read_kept(found.place) == list(found.inputs)
        assert found.again == f"python -m benchmarks.fuzz --again {found.place}"
        said: list[str] = []
        assert send_again(make_fake("fine"), [found.place], 5, said.append)
        assert said[0].endswith("as it should be")


class TestParsers:
    def test_one_that_fails_ends_or_does_not_end(self) -> None:
        lane = ParsingLane(1, "tests.benchmarks.fuzz.fake_parsers")
        contents = [b"", b"raise", b"", b"die", b"", b"hang", b""]
        inputs = [Input("json_text", content) for content in contents]
        try:
            answers = lane.ask(inputs)
        finally:
            lane.close()
        problems = [judge(*each) for each in zip(inputs, answers, strict=True)]
        found = [problem.oracle if problem else None for problem in problems]
        assert found == [None, Oracle.PARSER, None, Oracle.CLOSED, None, Oracle.HANG, None]


class TestQuickReader:
    """``number_body`` holds it against the exact one; its first byte says two float32 a row."""

    BODIES = (b'\x02{"instances": [[1, 2], [3, 4]]}', b'\x02{"inputs": [[1, 2]]}', b"\x02{}", b"")

    def test_both_agree(self) -> None:
        for body in self.BODIES:
            parsers.check(parsers.read_number_body, body)

    @pytest.mark.parametrize(
        "reader",
        [
            lambda found, port: np.zeros((1, 2), np.float32),
            lambda found, port: np.array([[1, 2], [3, 4]], np.float64),
            lambda found, port: np.array([1, 2, 3, 4], np.float32),
        ],
    )
    def test_one_that_reads_otherwise(
        self, monkeypatch: pytest.MonkeyPatch, reader: Callable[..., np.ndarray]
    ) -> None:
        monkeypatch.setattr(parsers, "read_flat", reader)
        with pytest.raises(AssertionError):
            parsers.check(parsers.read_number_body, self.BODIES[0])

    def test_one_that_takes_what_the_exact_one_does_not(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(parsers, "read_flat", lambda found, port: np.zeros((1, 2), np.float32))
        with pytest.raises(AssertionError, match="only the quick reader takes it"):
            parsers.check(parsers.read_number_body, b'\x02{"instances": [[1, ]]}')


class TestJudge:
    """Single answers."""

    @pytest.mark.parametrize(
        ("status", "form", "content"),
        [
            ("200", "application/json", b'{"predictions": [NaN]}'),
            ("400", "application/json", b'{"error": "\xff"}'),
            ("404", "application/json; charset=utf-8", b'{"error": "no"}'),
        ],
    )
    def test_right_ones(self, status: str, form: str, content: bytes) -> None:
        assert judge(Input("api", b""), Answer(Came.ANSWER, status, content, form)) is None

    @pytest.mark.parametrize(
        ("status", "content", "oracle"),
        [
            ("500", b'{"error": "KeyError"}', Oracle.STATUS),
            ("503", b'{"error": "too much"}', Oracle.STATUS),
            ("200", b'{"error": "no"}', Oracle.BODY),
            ("200", b"[]", Oracle.BODY),
            ("200", b'{"predictions": [', Oracle.BODY),
            ("400", b'{"error": ""}', Oracle.BODY),
            ("400", b'{"error": {}}', Oracle.BODY),
            ("400", b'{"error": "no", "trace": "x"}', Oracle.BODY),
            ("400", b"", Oracle.BODY),
        ],
    )
    def test_wrong_ones(self, status: str, content: bytes, oracle: Oracle) -> None:
        problem = judge(Input("api", b""), Answer(Came.ANSWER, status, content, "application/json"))
        assert problem is not None
        assert problem.oracle is oracle

    def test_a_message_that_cannot_be_read_is_refused_without_a_word(self) -> None:
        answer = Answer(Came.ANSWER, "INTERNAL")
        assert judge(Input("Predict", b"\xff"), answer) is None
        problem = judge(Input("Predict", b""), answer)
        assert problem is not None
        assert problem.oracle is Oracle.CODE

    def test_so_is_a_method_that_there_is_not_and_no_other(self) -> None:
        answer = Answer(Came.ANSWER, "UNIMPLEMENTED")
        assert judge(Input("NoService", b""), answer) is None
        problem = judge(Input("Predict", b""), answer)
        assert problem is not None
        assert problem.words == "UNIMPLEMENTED without a word"
