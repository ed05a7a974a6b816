"""The page in a real browser with engines of the test's own: many tabs, refusals, another case, Undo, dots."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from models.case import case_function, load_case
from models.contract import Tensors
from pipelines.playground.application import Playground
from pipelines.playground.catalogue import Catalogue
from pipelines.playground.engines import Reply
from pipelines.playground.reading import MOST_POINTS

pytestmark = pytest.mark.frameworks

PATIENCE_MS = 180_000
"""A deadline, never a measurement."""
TABS = 8
"""More than the six connections that a browser has for one host."""
ROW, DRAWN = 3, 1
PAD = "document.getElementById('pad').toDataURL()"
PAD_INK = """
() => {
  const pad = document.getElementById("pad");
  const { data } = pad.getContext("2d").getImageData(0, 0, pad.width, pad.height);
  return data.filter((value, place) => place % 4 === 3 && value > 0).length / (pad.width * pad.height);
}
"""
"""The share of the pad's pixels that hold ink."""
MANY_POINTS = """
(count) => {
  const pad = document.getElementById("pad");
  const box = pad.getBoundingClientRect();
  const clientY = box.top + box.height / 2;
  const at = (step) => ({ clientX: box.left + box.width * (step % 2 ? 0.4 : 0.6), clientY });
  const drawn = new PointerEvent("pointermove", { pointerId: 1 });
  drawn.getCoalescedEvents = () => Array.from({ length: count }, (_, step) => at(step));
  pad.dispatchEvent(drawn);
}
"""
"""A pen that goes to and fro; the mouse's pointer is number 1."""

Open = Callable[..., Any]
Serve = Callable[..., AbstractContextManager[str]]


class Knows:
    """Says 3 of the first test row and 1 of anything else."""

    def __init__(self, key: str, row: np.ndarray) -> None:
        self.key, self.label, self.row = key, f"Knows {key}", row
        self.gate = threading.Event()
        self.gate.set()

    def ask(self, inputs: Tensors) -> Reply:
        self.gate.wait(60)
        said = [ROW if np.array_equal(each, self.row) else DRAWN for each in inputs["image"]]
        return Reply({"probabilities": np.eye(10, dtype=np.float32)[said]}, 1)


class Fleet:
    def __init__(self, row: np.ndarray) -> None:
        self.all = [Knows("tfserving-rest", row), Knows("torchserve-rest", row)]

    def refresh(self) -> dict[str, Any]:
        return self.state()

    def state(self) -> dict[str, Any]:
        return {"servers": {}, "files": 1, "absent": []}

    def engines(self) -> list[Any]:
        return self.all


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return Catalogue.of(load_case("digits"), case_function("digits", "data", "load")(7).test)


@pytest.fixture(scope="module")
def fleet(catalogue: Catalogue) -> Fleet:
    return Fleet(catalogue.split.inputs["image"][0])


@pytest.fixture(scope="module")
def url(catalogue: Catalogue, fleet: Fleet, serve_page: Serve) -> Iterator[str]:
    with serve_page(Playground(catalogue, fleet)) as served:
        yield served


@pytest.fixture
def page(open_playground: Open, url: str) -> Any:
    opened = open_playground(url)
    opened.says(f"All two say {ROW}")
    return opened


def place_of(page: Any, x: float, y: float) -> tuple[float, float]:
    """A point of the pad, both from 0 to 1, on the screen."""
    box = page.locator("#pad").bounding_box()
    return box["x"] + x * box["width"], box["y"] + y * box["height"]


def draw_line(page: Any, x: float) -> None:
    page.mouse.move(*place_of(page, x, 0.2))
    page.mouse.down()
    page.mouse.move(*place_of(page, x, 0.8))
    page.mouse.up()


def ink_of(page: Any) -> float:
    share: float = page.evaluate(PAD_INK)
    return share


def test_every_tab_of_a_browser_is_answered(browser: Any, url: str) -> None:
    context = browser.new_context()
    context.set_default_timeout(PATIENCE_MS)
    try:
        pages = [context.new_page() for _ in range(TABS)]
        for page in pages:
            page.goto(url)
            page.locator("#verdict", has_text=f"say {ROW}").wait_for()
        for page in pages:  # with all of them open
            page.get_by_role("button", name="Clear").click()
            draw_line(page, 0.5)
            page.locator("#verdict", has_text=f"say {DRAWN}").wait_for()
    finally:
        context.close()


def test_a_page_that_gets_no_answer_says_so_and_asks_again(page: Any, fleet: Fleet) -> None:
    gate = fleet.all[0].gate
    gate.clear()
    try:
        page.says("No answer")
        assert page.answered().count() == 0, "nothing of an older question stays"
    finally:
        gate.set()
    page.says(f"All two say {ROW}")
    # As many questions as it takes at once may still wait at the gate; the browser tells of each refusal.
    page.problems[:] = [said for said in page.problems if "429" not in said]


def test_a_refusal_takes_the_old_answers_away(page: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.playground.reading.MOST_POINTS", 3)
    page.get_by_role("button", name="Clear").click()
    for dot in range(4):
        page.mouse.click(*place_of(page, 0.2 + dot * 0.2, 0.5))
    page.says("Not asked")
    assert "A drawing has at most 3 points." in page.locator("#origin").inner_text()
    assert page.answered().count() == 0
    page.wait_for_timeout(2500)
    assert page.locator("#verdict").inner_text() == "Not asked", "it is not asked again"
    assert sum("422" in said for said in page.problems) == len(page.problems)
    page.problems.clear()
    page.get_by_role("button", name="Undo").click()
    page.says(f"All two say {DRAWN}")


def test_a_drawing_stops_at_what_the_server_takes(page: Any) -> None:
    page.get_by_role("button", name="Clear").click()
    page.mouse.move(*place_of(page, 0.5, 0.1))
    page.mouse.down()
    page.evaluate(MANY_POINTS, MOST_POINTS + 1)
    page.mouse.up()
    page.mouse.click(*place_of(page, 0.1, 0.1))
    page.says(f"All two say {DRAWN}")
    full = page.evaluate(PAD)
    page.mouse.click(*place_of(page, 0.9, 0.9))
    page.says(f"All two say {DRAWN}")
    assert page.evaluate(PAD) == full, "nothing is drawn that is not asked about"


def test_a_page_turns_to_the_case_that_listens_now(
    browser: Any, catalogue: Catalogue, fleet: Fleet, serve_page: Serve
) -> None:
    page = browser.new_page()
    page.set_default_timeout(PATIENCE_MS)
    try:
        with serve_page(Playground(catalogue, fleet)) as url:
            page.goto(url)
            page.locator("#subtitle", has_text=catalogue.case.title).wait_for()
            page.evaluate("window.kept = true")
        page.locator("#alert", has_text="does not answer").wait_for()
        port = int(url.rstrip("/").rpartition(":")[2])
        with serve_page(Playground(catalogue, fleet), port):
            page.locator("#alert").wait_for(state="hidden")
            assert page.evaluate("window.kept"), "the same case: nothing is lost"
        page.locator("#alert", has_text="does not answer").wait_for()
        other = replace(catalogue, case=replace(catalogue.case, title="Another case"))
        with serve_page(Playground(other, fleet), port):
            page.locator("#subtitle", has_text="Another case").wait_for()
            page.locator("#verdict", has_text=f"All two say {ROW}").wait_for()
    finally:
        page.close()


def test_undo_brings_a_real_row_back(page: Any) -> None:
    origin, row = page.locator("#origin").inner_text(), page.evaluate(PAD)
    page.get_by_role("button", name="Undo").click()
    assert page.evaluate(PAD) == row, "no stroke, nothing to undo"
    assert page.locator("#origin").inner_text() == origin
    draw_line(page, 0.3)
    draw_line(page, 0.7)
    page.says(f"All two say {DRAWN}")
    page.get_by_role("button", name="Undo").click()
    assert page.locator("#origin").inner_text() == "Your drawing"
    page.get_by_role("button", name="Undo").click()
    page.says(f"All two say {ROW}")
    assert page.locator("#origin").inner_text() == origin
    assert page.evaluate(PAD) == row
    page.get_by_role("button", name="Clear").click()
    page.get_by_role("button", name="Undo").click()
    page.says("Nothing asked yet")
    assert ink_of(page) == 0


def test_a_tap_is_a_dot_that_is_seen_and_asked(page: Any) -> None:
    page.get_by_role("button", name="Clear").click()
    page.says("Nothing asked yet")
    page.mouse.click(*place_of(page, 0.5, 0.5))
    page.says(f"All two say {DRAWN}")
    area = np.pi * (0.075 / 2) ** 2  # of the pen
    assert ink_of(page) == pytest.approx(area, rel=0.2)
