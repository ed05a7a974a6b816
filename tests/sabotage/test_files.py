"""Files that were exported wrongly: verification fails the right one, and says with which figure."""

from __future__ import annotations

import re

import pytest

from pipelines.facts import Check, Findings, Outcome

pytestmark = pytest.mark.frameworks

Sabotage = tuple[str, int, str, str]


def checks_of(findings: Findings, form: str) -> list[Check]:
    return [check for check in findings.checks if check.subject == form]


def difference(check: Check) -> float:
    found = re.match(r"largest difference (\S+), same label", check.figure)
    assert found, check.figure
    return float(found[1])


def test_the_honest_version_passes(verified):
    for findings in verified.values():
        assert findings.checks
        assert [check for check in findings.checks if check.outcome is not Outcome.PASS] == []


def failed(findings: Findings, form: str) -> list[Check]:
    return [check for check in checks_of(findings, form) if check.outcome is Outcome.FAIL]


def test_a_wrong_file_fails_by_its_name(sabotage: Sabotage, judged):
    framework, number, form, mistake = sabotage
    found = failed(judged(framework, number), form)
    assert {check.stage for check in found} == {"verify"}, f"{mistake} was not noticed"
    (check_of_truncated if mistake == "truncated" else check_of_values)(found)


def check_of_truncated(found: list[Check]) -> None:
    (check,) = found
    assert check.question == "It opens and answers"
    assert check.figure == "ArtifactCorrupt"
    assert "cannot be opened as SavedModel" in check.detail


def check_of_values(found: list[Check]) -> None:
    """The values give it away at every batch size. The names and shapes are right all the same."""
    questions = [check.question for check in found]
    assert "Names, dtypes and shapes are the contract's" not in questions
    for size in ("1", "7", "all"):
        question = f"The test split at batch size {size} is answered as in memory"
        (check,) = (check for check in found if check.question == question)
        assert difference(check) > 1e-3


def test_the_figure_tells_permuted_labels_from_rounding(judged, wrong_versions):
    seen = set()
    for framework, versions in wrong_versions.items():
        for number, mistakes in enumerate(versions):
            for form in (
                form for form, mistake in mistakes.items() if mistake == "labels-permuted"
            ):
                seen.add(framework)
                for check in failed(judged(framework, number), form):
                    check_of_permuted(check)
    assert seen == {"tensorflow", "pytorch"}


def check_of_permuted(check: Check) -> None:
    same_label = re.search(r"same label ([\d.]+)%", check.figure)
    assert same_label
    if check.question.startswith("The test split"):
        assert float(same_label[1]) < 10
        assert float(check.figure.rpartition("accuracy ")[2]) < 0.1


@pytest.mark.parametrize("framework", ["tensorflow", "pytorch"])
def test_no_honest_file_beside_a_wrong_one_fails(framework, judged, wrong_versions):
    for number, mistakes in enumerate(wrong_versions[framework]):
        honest = [
            check for check in judged(framework, number).checks if check.subject not in mistakes
        ]
        assert honest, "the transplant at least"
        assert all(check.outcome is Outcome.PASS for check in honest)
