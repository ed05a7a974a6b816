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


def test_a_wrong_file_fails_by_its_name(sabotage: Sabotage, judged):
    framework, number, form, mistake = sabotage
    failed = [
        check
        for check in checks_of(judged(framework, number), form)
        if check.outcome is Outcome.FAIL
    ]
    assert failed, f"{mistake} of {form} was not noticed"
    assert {check.stage for check in failed} == {"verify"}
    if mistake == "truncated":
        (check,) = failed
        assert check.question == "It opens and answers"
        assert check.figure == "ArtifactCorrupt"
        assert "cannot be opened as SavedModel" in check.detail
        return
    split = [check for check in failed if check.question.startswith("The test split at batch")]
    assert {check.question for check in split} == {
        f"The test split at batch size {size} is answered as in memory"
        for size in ("1", "7", "all")
    }
    assert all(difference(check) > 1e-3 for check in split)


def test_a_wrong_file_has_the_contracts_signature_all_the_same(sabotage: Sabotage, judged):
    """No name and no shape gives these away: only the values do."""
    framework, number, form, mistake = sabotage
    if mistake == "truncated":
        pytest.skip("a truncated file does not open")
    (check,) = (
        check
        for check in checks_of(judged(framework, number), form)
        if check.question == "Names, dtypes and shapes are the contract's"
    )
    assert check.outcome is Outcome.PASS


def test_the_figure_tells_permuted_labels_from_rounding(sabotage: Sabotage, judged):
    framework, number, form, mistake = sabotage
    if mistake != "labels-permuted":
        pytest.skip("about permuted labels only")
    for check in checks_of(judged(framework, number), form):
        if check.question.startswith("The test split"):
            same_label = float(re.search(r"same label ([\d.]+)%", check.figure)[1])  # type: ignore[index]
            accuracy = float(check.figure.rpartition("accuracy ")[2])
            assert same_label < 10
            assert accuracy < 0.1


@pytest.mark.parametrize("framework", ["tensorflow", "pytorch"])
def test_no_honest_file_beside_a_wrong_one_fails(framework, judged, wrong_versions):
    for number, mistakes in enumerate(wrong_versions[framework]):
        honest = [
            check for check in judged(framework, number).checks if check.subject not in mistakes
        ]
        assert honest, "the transplant at least"
        assert all(check.outcome is Outcome.PASS for check in honest)
