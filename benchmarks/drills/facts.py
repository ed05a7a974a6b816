"""What comes of one drill."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class DrillFacts:
    """What was broken, what happened, and whether it went as it should.

    Attributes:
        name: as ``--only`` takes it.
        server: label of what was disturbed, for people.
        done: what was done to it, one sentence.
        should: what ought to come of it, one sentence.
        seen: what the user sees: the message, whole.
        recovered_seconds: from the fault (or its end, for one that is taken back) until every
            protocol has answered correctly again; None where nothing had to recover.
        asked: requests sent meanwhile.
        failed: of these, without a prediction.
        wrong: of these, answered otherwise than the model in memory does.
        orphans: what was left behind after the clean-up, for people.
        problems: what did not go as it should.
    """

    name: str
    server: str
    done: str
    should: str
    seen: str = ""
    recovered_seconds: float | None = None
    asked: int = 0
    failed: int = 0
    wrong: int = 0
    orphans: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """It went as it should, nothing was answered wrongly and nothing is left."""
        return not (self.problems or self.wrong or self.orphans)

    def with_problem(self, problem: str) -> DrillFacts:
        return replace(self, problems=(*self.problems, problem))
