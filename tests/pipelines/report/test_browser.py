"""The page in a real browser: nothing complains, nothing overflows, everything can be read and used."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipelines.facts import RunReport
from pipelines.report import write_report

Make = Callable[[str], RunReport]
PHONE, DESKTOP = (390, 844), (1280, 800)
SMALLEST_TEXT = """
Math.min(...[...document.querySelectorAll("figure svg text")].map((text) => {
  const svg = text.ownerSVGElement;
  return parseFloat(getComputedStyle(text).fontSize) * svg.clientWidth / svg.viewBox.baseVal.width;
}))
"""
CUT_OFF = """
[...document.querySelectorAll("figure svg text")].filter((text) => {
  const box = text.getBoundingClientRect(), card = text.closest("figure").getBoundingClientRect();
  return box.width && (box.left < card.left || box.right > card.right);
}).map((text) => text.textContent)
"""
UNREADABLE = """
[...document.querySelectorAll("svg [fill], svg [stroke]")].filter((mark) =>
  (mark.getAttribute("fill") || "").startsWith("var(") && getComputedStyle(mark).fill === "none"
).length
"""


@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
@pytest.mark.parametrize("name", ["sample", "failed", "sliced", "voided", "empty"])
def test_page_opens_without_complaint_and_fits(
    make: Make, tab: Any, tmp_path: Path, name: str, size: tuple[int, int]
) -> None:
    tab.problems.clear()
    tab.open(write_report(make(name), tmp_path), *size, dark=size == PHONE)
    assert tab.evaluate("document.documentElement.scrollWidth") == size[0]
    assert tab.evaluate("innerWidth") == size[0]
    assert tab.evaluate(CUT_OFF) == []
    assert tab.evaluate(UNREADABLE) == 0
    assert tab.problems == []


def test_chart_text_can_be_read_on_a_phone(make: Make, tab: Any, tmp_path: Path) -> None:
    tab.open(write_report(make("sample"), tmp_path), *PHONE)
    assert tab.evaluate(SMALLEST_TEXT) >= 11


def test_colours_follow_the_scheme(make: Make, tab: Any, tmp_path: Path) -> None:
    page = write_report(make("sample"), tmp_path)
    bar = "getComputedStyle(document.querySelector('svg [fill=\"var(--tensorflow)\"]')).fill"
    seen = []
    for dark in (False, True):
        tab.open(page, *DESKTOP, dark=dark)
        seen.append(tab.evaluate(bar))
    assert seen == ["rgb(31, 111, 208)", "rgb(106, 174, 255)"]


def test_a_mark_tells_its_figure_when_pointed_at(make: Make, tab: Any, tmp_path: Path) -> None:
    tab.open(write_report(make("sample"), tmp_path), *DESKTOP)
    tab.evaluate("""
        document.querySelector('svg [data-tip^="PyTorch, epoch 1:"]')
          .dispatchEvent(new PointerEvent("pointermove", {bubbles: true, clientX: 5, clientY: 5}))
    """)
    assert tab.evaluate("document.getElementById('tip').hidden") is False
    assert tab.evaluate("document.getElementById('tip').textContent").startswith(
        "PyTorch, epoch 1: "
    )


@pytest.mark.parametrize(("name", "choice", "left"), [("failed", "fail", 13), ("sample", "fail", 0),
                                                      ("sample", "shortfall", 4)])  # fmt: skip
def test_checks_can_be_filtered(
    make: Make, tab: Any, tmp_path: Path, name: str, choice: str, left: int
) -> None:
    tab.open(write_report(make(name), tmp_path), *DESKTOP)
    tab.evaluate(f"document.getElementById('show-{choice}').click()")
    visible = "[...document.querySelectorAll('.checks tbody tr')].filter((row) => row.offsetHeight)"
    assert tab.evaluate(f"{visible}.length") == left
    assert tab.evaluate(f"{visible}.every((row) => row.classList.contains('{choice}'))")


def test_data_can_be_downloaded(make: Make, tab: Any, tmp_path: Path) -> None:
    report = make("sample")
    tab.open(write_report(report, tmp_path), *DESKTOP)
    assert tab.evaluate("document.getElementById('download').href").startswith("blob:")
    embedded = json.loads(tab.evaluate("document.getElementById('report').textContent"))
    assert RunReport.model_validate(embedded) == report
