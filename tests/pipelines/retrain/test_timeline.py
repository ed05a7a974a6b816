"""The timeline as it is shown: nothing unescaped, nothing fetched, every span with what was done."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest
from rich.console import Console

from models.framework import FRAMEWORKS
from pipelines.retrain.facts import PerformanceFacts, PredictionDrift, SpanFacts, Timeline
from pipelines.retrain.page import DATA, PAGE, gain, render_page, write_timeline
from pipelines.retrain.policy import Policy
from pipelines.retrain.terminal import print_timeline
from pipelines.tfx.facts import DriftFacts


def measured(line: str, version: int, auc: float) -> list[PerformanceFacts]:
    return [
        PerformanceFacts(line=line, version=version, framework=name, roc_auc=auc, log_loss=0.5)
        for name in FRAMEWORKS
    ]


def span(number: int, **changes: object) -> SpanFacts:
    drift = [
        DriftFacts(
            feature=name,
            span=number,
            against="the training rows",
            measure="jensen_shannon_divergence",
            score=score,
            threshold=0.5,
            exceeded=score > 0.5,
        )
        for name, score in {"temp": 0.1 * number, "<b>dewp</b>": 0.2}.items()
    ]
    facts = {
        "digest": "",
        "span": number,
        "rows": 1000,
        "positives": 0.25,
        "drift": drift,
        "prediction_drift": [PredictionDrift(framework=name, score=0.01) for name in FRAMEWORKS],
        "performance": [*measured("frozen", 1, 0.65), *measured("in service", 1, 0.65)],
        "reasons": [],
        "why_not": "drift: temp 0.20 × its threshold (limit 1)",
        "in_service": 1,
        "frozen": 1,
        "seconds": 1.0,
    }
    return SpanFacts.model_validate(facts | changes)


def timeline() -> Timeline:
    first = span(
        4,
        drift=[],
        prediction_drift=[],
        performance=measured("candidate", 1, 0.66),
        reasons=["nothing is in service yet"],
        why_not="",
        candidate=1,
        pushed=True,
    )
    fired = {"reasons": ["temp has drifted, 1.20 × its threshold (limit 1)"], "why_not": ""}
    refused = span(6, **fired, candidate=2, compared_with=1, refused=["carrier=UA: roc_auc 0.480"])
    pushed = span(7, **fired, candidate=3, compared_with=1, pushed=True, in_service=3)
    return Timeline(
        case="flights",
        title="Flights <script>alert(1)</script>",
        span="month",
        created=datetime(2026, 1, 2, tzinfo=UTC),
        sample=None,
        first=[1, 2, 3],
        policy=Policy(),
        spans=[first, span(5), refused, pushed],
    )


class Page(HTMLParser):
    """Tags and text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]


def test_the_page_draws_every_line_and_loads_nothing() -> None:
    html = render_page(timeline())
    page = Page(html)
    assert page.tags.count("svg") == 4
    assert "script" not in page.tags and "b>dewp" not in html.replace("&lt;b&gt;dewp", "")
    assert all(link.startswith("data:") for link in page.links)
    for words in (
        "Retrained 2 times in 4 months",
        "2 versions pushed, 1 refused",
        "Version 3 is in",
    ):
        assert words in html
    assert "carrier=UA: roc_auc 0.480" in html


def test_what_retraining_was_worth_counts_only_spans_that_met_a_retrained_version() -> None:
    assert gain(timeline()) == ""  # version 3 went into service with the last month
    met = [
        span(
            number,
            performance=[*measured("frozen", 1, 0.6), *measured("in service", 3, auc)],
            in_service=3,
        )
        for number, auc in ((8, 0.7), (9, 0.74))
    ]
    longer = timeline().model_copy(update={"spans": [*timeline().spans, *met]})
    words = "Mean ROC AUC over the 2 months since: Keras 0.6000 frozen, 0.7200 retrained"
    assert gain(longer).startswith(words)
    assert words in render_page(longer)


def test_the_page_and_its_facts_are_written_and_read_again(tmp_path: Path) -> None:
    page = write_timeline(timeline(), tmp_path)
    assert page == tmp_path / PAGE
    assert Timeline.model_validate_json((tmp_path / DATA).read_text()) == timeline()
    assert {path.name for path in tmp_path.iterdir()} == {PAGE, DATA}


@pytest.mark.parametrize("width", [80, 120, 250])
def test_the_terminal_has_a_line_of_figures_a_span_and_a_line_a_reason(width: int) -> None:
    stream = io.StringIO()
    print_timeline(Console(file=stream, width=width), timeline())
    lines = stream.getvalue().splitlines()
    assert max(map(len, lines)) <= min(width, 120)
    (first,) = [line for line in lines if line.split()[:1] == ["4"]]
    assert first.split()[:2] == ["4", "1,000"]
    assert first.count("0.6600 · 0.6600") == 3
    for words in ("version 1 pushed", "not retrained", "version 2 refused", "version 3 pushed"):
        assert [line.strip() for line in lines].count(words) == 1
    assert "       carrier=UA: roc_auc 0.480" in lines
    assert lines[lines.index(first) + 1].strip() == "version 1 pushed"


def test_the_label_is_called_what_it_is() -> None:
    moved = DriftFacts(
        feature="late",
        span=5,
        against="the training rows",
        measure="jensen_shannon_divergence",
        score=0.12,
        threshold=0.1,
        exceeded=True,
    )
    shown = timeline().model_copy(
        update={"share": "share of late flights", "spans": [span(5, label_drift=moved)]}
    )
    html = render_page(shown)
    assert "month 5, share of late flights: 0.120, 1.20 × its threshold" in html
    assert ">late<" not in html
