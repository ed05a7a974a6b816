"""The page as a file: what it says, what it must never say, and what it must never fetch."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from pipelines.facts import Outcome, RunReport, ScenarioFacts
from pipelines.report import write_report

SAMPLES = ("sample", "scored", "sliced", "measured", "failed", "voided", "empty")
VOID = {"meta", "link", "br", "hr", "img", "input"}
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&\x00\x1b[31m"
Make = Callable[[str], RunReport]


class Page(HTMLParser):
    """Checks nesting as it reads; keeps elements, texts and the embedded JSON."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.scripts: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            self.scripts.append(data)
        elif self.open and self.open[-1] != "style":
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


def page_of(report: RunReport, folder: Path) -> Page:
    return Page(write_report(report, folder).read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", SAMPLES)
def test_page_is_well_formed_and_fetches_nothing(make: Make, tmp_path: Path, name: str) -> None:
    page = page_of(make(name), tmp_path)
    for tag, attributes in page.elements:
        for attribute in ("src", "srcset", "data", "poster", "action", "xlink:href"):
            assert attribute not in attributes, (tag, attribute)
        target = attributes.get("href") or "#"
        assert target.startswith(("#", "data:")), (tag, target)
        assert not any(attribute.startswith("on") for attribute in attributes), tag
    html = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert set(re.findall(r"https?://[^\"'\s<)]+", html)) <= {"http://www.w3.org/2000/svg"}
    assert "@import" not in html
    assert "url(" not in html


@pytest.mark.parametrize("name", SAMPLES)
def test_json_comes_back_as_the_same_report(make: Make, tmp_path: Path, name: str) -> None:
    report = make(name)
    page = page_of(report, tmp_path)
    stored = (tmp_path / "report.json").read_text(encoding="utf-8")
    assert RunReport.model_validate_json(stored) == report
    assert RunReport.model_validate(json.loads(page.scripts[0])) == report


@pytest.mark.parametrize("name", ["sample", "failed", "skewed"])
def test_every_check_is_on_the_page_failed_ones_first(
    make: Make, tmp_path: Path, name: str
) -> None:
    report = make(name)
    html = write_report(report, tmp_path).read_text(encoding="utf-8")
    listed = html[html.index('<section id="checks">') :]
    outcomes = re.findall(r'<tr role="row" class="(pass|fail|shortfall|warning)">', listed)
    assert len(outcomes) == len(report.checks)
    assert outcomes == sorted(outcomes, key=["fail", "shortfall", "warning", "pass"].index)
    text = Page(html).text
    for check in report.checks:
        for said in (check.subject, check.question, check.figure, check.limit, check.detail):
            assert " ".join(said.split()) in text


def test_verdict_of_a_good_run(make: Make, tmp_path: Path) -> None:
    text = page_of(make("sample"), tmp_path).text
    assert "Both may ship" in text
    assert "Both servers give the same label to 100 % of 360 rows" in text
    assert "TorchServe 0.12.0 needs 1.2 × the memory of TF Serving API (embedded)" in text


def test_quality_stands_beside_the_baseline(make: Make, tmp_path: Path) -> None:
    text = page_of(make("scored"), tmp_path).text
    assert "The networks are both ahead of gradient boosting" in text
    assert "ROC AUC Keras 0.7020, PyTorch 0.7120 against 0.6820" in text
    assert (
        "of which 22.00 % are positive: chance has a ROC AUC of 0.5 and a PR AUC of 0.2200" in text
    )
    assert "PyTorch: foretold 0.030, observed 0.030" in (tmp_path / "index.html").read_text()
    assert "its inputs would be <b>integers</b>" in text
    assert "Quality" not in page_of(make("sample"), tmp_path).text


def test_a_warning_stands_under_the_verdict(make: Make, tmp_path: Path) -> None:
    text = page_of(make("skewed"), tmp_path).text
    assert "Both may ship" in text
    assert "runs TensorFlow Library 2.16.2, not TensorFlow Library 2.21.0" in text
    assert "in a container" in text


def test_verdict_of_a_failed_run_counts_and_names(make: Make, tmp_path: Path) -> None:
    report = make("failed")
    failed = sum(check.outcome is Outcome.FAIL for check in report.checks)
    text = page_of(report, tmp_path).text
    assert f"Not released: {failed} of {len(report.checks)} checks failed" in text
    assert "4 of 5 exported files agree with the trained model" in text
    assert "NotFinite: probabilities holds NaN or infinity." in text
    assert "may ship" not in text


def test_a_run_without_checks_has_no_verdict_even_if_it_says_passed(
    make: Make, tmp_path: Path
) -> None:
    text = page_of(make("empty").model_copy(update={"passed": True}), tmp_path).text
    assert "No verdict" in text
    assert "may ship" not in text.replace("so nothing may ship", "")


def test_voided_figures_are_not_printed_as_figures(make: Make, tmp_path: Path) -> None:
    report = make("voided")
    text = page_of(report, tmp_path).text
    html = (tmp_path / "index.html").read_text(encoding="utf-8")
    drawn = html[: html.index('<script type="application/json"')]
    for figure in ("3.18", "7.41", "3.41", "8.63"):
        assert figure not in drawn
    assert not re.search(r"\b(466|440)\b(?! kB)", text)
    assert "voided: 3 of 500 answers wrong" in text
    assert "4 measurements voided" in text
    assert "answers one client faster" not in text


@pytest.mark.parametrize(("hours", "said"), [(0, False), (24, True)])
def test_reused_measurements_are_said_to_be(
    make: Make, tmp_path: Path, hours: int, said: bool
) -> None:
    text = page_of(make("voided" if hours else "sample"), tmp_path).text
    assert ("are from an earlier run" in text) is said


@pytest.mark.parametrize("name", ["failed", "sliced", "measured"])
def test_hostile_strings_stay_text(make: Make, tmp_path: Path, name: str) -> None:
    data = json.loads(make(name).model_dump_json())

    def poison(value: object, key: str = "") -> object:
        if isinstance(value, dict):
            return {name: poison(inner, name) for name, inner in value.items()}
        if isinstance(value, list):
            return [poison(inner, key) for inner in value]
        fixed = {"framework", "protocol", "outcome", "created", "measured", "stage"}
        fixed |= {"validity", "scenario", "quantity", "ruling", "scope", "metric", "interval"}
        return value + HOSTILE if isinstance(value, str) and key not in fixed else value

    report = RunReport.model_validate(poison(data))
    page = page_of(report, tmp_path)
    tags = [tag for tag, _ in page.elements]
    assert tags.count("script") == 2
    assert "img" not in tags
    assert "alert(1)" in page.text
    assert "alert(1)" not in page.scripts[-1]


def test_only_our_own_script_may_run(make: Make, tmp_path: Path) -> None:
    page = page_of(make("sample"), tmp_path)
    policy = next(a["content"] for t, a in page.elements if t == "meta" and "http-equiv" in a)
    digest = base64.b64encode(hashlib.sha256(page.scripts[-1].encode()).digest()).decode()
    assert policy is not None
    assert "default-src 'none'" in policy
    assert f"script-src 'sha256-{digest}'" in policy


def test_every_chart_says_in_words_what_it_shows(make: Make, tmp_path: Path) -> None:
    page = page_of(make("sample"), tmp_path)
    labels = [str(a["aria-label"]) for tag, a in page.elements if tag == "svg"]
    assert len(labels) == 10
    assert any(
        "TorchServe 0.12.0 · gRPC: p50 ms 3.41, p90 ms 4.20, p99 ms 8.63" in x for x in labels
    )
    assert any("PyTorch goes from" in label for label in labels)


def with_latencies(facts: ScenarioFacts, ms: float) -> ScenarioFacts:
    """The same with one latency for every percentile and every point of the curve."""
    points = {
        name: [each.model_copy(update={"ms": ms}) for each in getattr(facts, name)]
        for name in ("percentiles", "curve")
    }
    return facts.model_copy(update=points)


def test_figures_that_are_not_numbers_do_not_stop_the_report(make: Make, tmp_path: Path) -> None:
    report = make("sample")
    assert report.load
    nan = float("nan")
    odd = report.model_copy(
        update={
            "load": report.load.model_copy(
                update={"scenarios": [with_latencies(row, nan) for row in report.load.scenarios]}
            ),
            "parity": [row.model_copy(update={"max_abs": nan}) for row in report.parity],
            "servers": [row.model_copy(update={"ready_seconds": nan}) for row in report.servers],
        }
    )
    assert "nan" not in page_of(odd, tmp_path).text.replace("check", "").lower().split()


def test_one_framework_alone(make: Make, tmp_path: Path) -> None:
    report = make("sample")
    alone = report.model_copy(
        update={
            name: [row for row in getattr(report, name) if row.framework == "pytorch"]
            for name in ("training", "artifacts", "servers")
        }
    )
    assert "PyTorch may ship" in page_of(alone, tmp_path).text
