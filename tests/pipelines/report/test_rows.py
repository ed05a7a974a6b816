"""What the page says of rows and slices: shifts, drift, and where a model is not good enough."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipelines.facts import RunReport
from pipelines.report import write_report
from pipelines.report.evidence import evidence

Make = Callable[[str], RunReport]


@pytest.fixture(scope="module")
def html(make: Make, tmp_path_factory: pytest.TempPathFactory) -> str:
    page = write_report(make("sliced"), tmp_path_factory.mktemp("sliced"))
    return page.read_text(encoding="utf-8").partition('<script type="application/json"')[0]


def texts(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def section(html: str, name: str) -> str:
    return html.partition(f'<section id="{name}">')[2].partition("</section>")[0]


def labels(html: str) -> dict[str, str]:
    """Of every drawing: its title and what it says in words."""
    return dict(re.findall(r'aria-label="([^".]+)\. ([^"]*)"', html))


def test_features_stand_split_by_split_those_that_drift_most_first(html: str) -> None:
    data = section(html, "data")
    assert data.index("<b>temp</b>") < data.index("<b>carrier</b>")
    text = texts(data)
    assert "validation 10 % 0.4 % 57.2 3 12 58 100" in text
    assert "test 100 % — — — — — —" in text
    assert "validation 0 16 B6 (60 %)" in text
    assert "temp 40 to 70, train: 50 % of rows" in data
    assert "validation: missing 10 %, zeros 0.4 %, mean 57.2" in labels(data)["temp"]


def test_drift_is_marked_where_it_is_beyond_its_threshold(html: str) -> None:
    marked = re.findall(r'class="(beyond|inside)" style="[^"]*" data-tip="([^:]+): ', html)
    assert [where for how, where in marked if how == "beyond"] == ["temp, month 2 against month 1"]
    assert [where for how, where in marked if where.startswith("late")] == [
        "late, month 2 against month 1"
    ]
    assert len(marked) == 5


def test_slices_come_worst_first_and_missed_ones_are_named_in_red(html: str) -> None:
    slices = section(html, "slices")
    said = labels(slices)["ROC AUC by carrier"]
    assert "PyTorch, carrier B6: 0.480 (0.450 to 0.510), 1,000 rows" in said
    drawing = slices.partition('aria-label="ROC AUC by carrier')[2].partition("</svg>")[0]
    rows = re.findall(r'fill="([^"]*)"[^>]*>(all rows|B6|UA)</text>', drawing)
    assert [name for _, name in rows] == ["all rows", "B6", "UA"]
    assert [name for colour, name in rows if colour == "var(--fail)"] == ["B6"]
    text = texts(slices)
    assert "carrier B6 , PyTorch: ROC AUC 0.480, held to at least 0.52" in text
    assert "carrier HA (31)" in text
    assert "7:00" in drawing or "7:00" in slices


def test_the_threshold_is_drawn_in_every_row_that_it_holds_for(html: str) -> None:
    drawing = html.partition('aria-label="ROC AUC by carrier')[2].partition("</svg>")[0]
    assert drawing.count('fill="var(--fail)"') == 3 + 1  # all rows, B6, UA; and the missed label
    log_loss = html.partition('aria-label="Log loss by carrier')[2].partition("</svg>")[0]
    assert "var(--fail)" not in log_loss


def test_what_stands_under_the_verdict(make: Make) -> None:
    said = {item.claim: item for item in evidence(make("sliced"))}
    assert said["PyTorch misses a threshold"].caution
    assert not said["TensorFlow keeps every threshold"].caution
    drift = said["1 feature drifted beyond the threshold"]
    assert drift.figures == "temp; most: temp, 0.710 of 0.6 allowed in month 2"


def test_a_metric_without_figures_is_not_drawn_and_stops_nothing(html: str) -> None:
    assert "Calibration by carrier" in html
    assert "Calibration by carrier" not in labels(html)


def test_another_metric_is_a_click_away(make: Make, tab: Any, tmp_path: Path) -> None:
    tab.open(write_report(make("sliced"), tmp_path), 1280, 800)
    seen = "[...document.querySelectorAll('.view')].filter((view) => view.offsetHeight).length"
    log_loss = "document.querySelector('.view.log_loss').offsetHeight > 0"
    assert (tab.evaluate(seen), tab.evaluate(log_loss)) == (1, False)
    tab.evaluate("document.getElementById('metric-log_loss').click()")
    assert (tab.evaluate(seen), tab.evaluate(log_loss)) == (1, True)
