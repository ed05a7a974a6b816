"""Facts kept between stages, and the verdict."""

from __future__ import annotations

import pytest

from models.errors import ArtifactCorrupt, ArtifactMissing, ChecksFailed
from pipelines.conclude import keep, raise_if_failed, recall
from pipelines.facts import Check, Findings, Outcome


def check(number: int, outcome: Outcome) -> Check:
    return Check(
        stage="verify", subject=f"File {number}", question="It opens", outcome=outcome, figure="no"
    )


FOUND = Findings(checks=[check(1, Outcome.PASS)], ready_seconds={"torchserve": 1.5})


def test_what_is_kept_is_recalled(space):
    keep(space, 1, "verify", FOUND)
    assert recall(space, 1, "verify", Findings) == FOUND


@pytest.mark.parametrize(("number", "stage"), [(1, "check"), (2, "verify")])
def test_a_stage_that_has_not_run_is_named(space, number, stage):
    keep(space, 1, "verify", FOUND)
    with pytest.raises(ArtifactMissing) as raised:
        recall(space, number, stage, Findings)
    assert raised.value.message == (
        f"The stage '{stage}' has not run for version {number} of 'digits'."
    )
    assert f"python -m pipelines {stage}" in raised.value.hint


@pytest.mark.parametrize("text", ["", "{", "[]", '{"checks": 3}', '{"colour": "red"}'])
def test_facts_that_cannot_be_read_are_corrupt(space, text):
    keep(space, 1, "verify", FOUND)
    path = space.facts_path(1, "verify")
    path.write_text(text)
    with pytest.raises(ArtifactCorrupt, match=r"verify\.json cannot be read") as raised:
        recall(space, 1, "verify", Findings)
    assert "python -m pipelines verify" in raised.value.hint


def checks(*outcomes: Outcome) -> list[Check]:
    return [check(number, outcome) for number, outcome in enumerate(outcomes)]


def test_a_shortfall_is_no_failure():
    raise_if_failed(checks(Outcome.PASS, Outcome.SHORTFALL))


def test_the_first_failures_are_named_and_the_others_counted(tmp_path):
    with pytest.raises(ChecksFailed) as raised:
        raise_if_failed(checks(Outcome.PASS, *[Outcome.FAIL] * 5), tmp_path / "index.html")
    message = raised.value.message
    assert message.startswith("5 of 6 checks failed. File 1: It opens: no; File 2")
    assert "File 4" not in message
    assert message.endswith("and 2 more.")
    assert raised.value.hint == f"See {tmp_path / 'index.html'}."
    assert raised.value.report == str(tmp_path / "index.html")


def test_a_stage_without_a_report_names_none():
    with pytest.raises(ChecksFailed) as raised:
        raise_if_failed(checks(Outcome.FAIL))
    assert (raised.value.hint, raised.value.report) == ("", "")
