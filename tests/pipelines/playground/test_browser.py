"""The page in a real browser, with both servers behind it: what a person does, and what the page then shows.

The last tests break and exchange the servers, so their order matters.
"""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pipelines.serve import left_running
from serving.process_tree import stop_process_tree

pytestmark = [pytest.mark.servers, pytest.mark.frameworks, pytest.mark.timeout(900)]
# The first test waits for two trainings and both servers, with other tests beside it.

PHONE, DESKTOP = (390, 844), (1280, 800)
ENGINES = 6
KEEP_FAILURES = """
() => {
  window.failures = [];
  new MutationObserver((changes) => changes.forEach(({ target }) => {
    if (target.dataset.state === "down") failures.push(target.innerText);
  })).observe(document.getElementById("engines"), { subtree: true, attributeFilter: ["data-state"] });
}
"""
"""Every card that ever says that it is down, from now on."""

Open = Callable[..., Any]


def draw(page: Any, strokes: list[list[tuple[float, float]]]) -> None:
    page.get_by_role("button", name="Clear").click()
    page.says("Nothing asked yet")
    box = page.locator("#pad").bounding_box()
    for stroke in strokes:
        places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in stroke]
        page.mouse.move(*places[0])
        page.mouse.down()
        for place in places[1:]:
            page.mouse.move(*place)
        page.mouse.up()


def take_picture(page: Any, target: Path, strokes: ModuleType) -> None:
    """For the documentation: something drawn, something found."""
    draw(page, strokes.DIGITS[5])
    page.get_by_role("button", name="Find a disagreement").click()
    page.get_by_role("button", name="Find a disagreement").wait_for()
    page.wait_for_timeout(8000)  # some times for the lines
    page.evaluate("scrollTo(0, 0)")
    page.screenshot(path=target, full_page=page.viewport_size["width"] > 600)


def test_drawn_digits_are_recognised_by_everybody(open_page: Open, strokes: ModuleType) -> None:
    page = open_page()
    for digit in (0, 2, 3, 6, 7):
        draw(page, strokes.DIGITS[digit])
        page.answered(winner=digit).nth(ENGINES - 1).wait_for()
        page.says(f"All six say {digit}")
    page.get_by_role("button", name="Undo").click()
    page.get_by_role("button", name="Undo").click()
    page.says("Nothing asked yet")


def test_answers_name_what_really_runs_and_how_long_it_took(open_page: Open) -> None:
    page = open_page()
    labels = page.locator(".engine .label").all_inner_texts()
    assert sum("(embedded)" in label or "TF Serving" in label for label in labels) == 2
    assert sum(label.startswith("TorchServe 0.12") for label in labels) == 2
    assert sum(label.startswith("LiteRT") for label in labels) == 2
    assert page.locator(".engine .version").all_inner_texts() == ["version 1"] * ENGINES
    assert all(re.fullmatch(r"[\d.]+ ms", each) for each in page.locator(".time").all_inner_texts())
    line = page.locator(".spark-line").first
    before = line.get_attribute("d")
    deadline = time.monotonic() + 60
    while line.get_attribute("d") == before:  # it asks again by itself
        assert time.monotonic() < deadline
        page.wait_for_timeout(50)


def test_no_token_reaches_the_page(open_page: Open, playground: Any) -> None:
    page = open_page()
    bodies: list[str] = []
    page.on("response", lambda got: bodies.append(got.url) or bodies.append(str(got.headers)))
    page.reload()
    page.answered().nth(ENGINES - 1).wait_for()
    keys = [
        entry["key"]
        for path in playground.space.settings.state.rglob("key_file.json")
        for entry in json.loads(path.read_text()).values()
    ]
    assert len(keys) == 3
    seen = page.content() + "".join(bodies) + playground.output.read_text()
    assert not [key for key in keys if key in seen]


def test_a_script_that_is_not_ours_does_not_run(open_page: Open) -> None:
    page = open_page()
    with pytest.raises(Exception, match=r"Trusted|Content Security"):
        page.add_script_tag(content="document.title = 'taken over'")
    assert "taken over" not in page.title()
    assert page.problems, "a violation is seen"
    page.problems.clear()


def test_keyboard_draws_a_one(open_page: Open) -> None:
    page = open_page()
    page.locator("#pad").focus()
    page.keyboard.press("Escape")
    page.says("Nothing asked yet")
    page.keyboard.press("Space")
    page.locator("#pen", has_text="Pen down").wait_for(state="attached")
    for _ in range(4):
        page.keyboard.press("Shift+ArrowDown")
    page.answered(winner=1).nth(ENGINES - 1).wait_for()
    page.says("All six say 1")
    page.keyboard.press("Space")
    page.keyboard.press("Backspace")
    page.says("Nothing asked yet")


def test_a_finger_draws(open_page: Open, strokes: ModuleType) -> None:
    page = open_page(PHONE, dark=True, has_touch=True, is_mobile=True)
    page.get_by_role("button", name="Clear").tap()
    page.says("Nothing asked yet")
    box = page.locator("#pad").bounding_box()
    touch = page.context.new_cdp_session(page.page)
    for stroke in strokes.DIGITS[7]:
        for place, (x, y) in enumerate(stroke):
            point = {"x": box["x"] + x * box["width"], "y": box["y"] + y * box["height"]}
            kind = "touchMove" if place else "touchStart"
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [point]})
        touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    page.says("All six say 7")


def test_sliders_change_what_the_models_see(open_page: Open, strokes: ModuleType) -> None:
    page = open_page()
    draw(page, strokes.DIGITS[7])
    page.says("say 7")
    seen = page.locator("#seen")
    before = seen.screenshot()
    page.get_by_label("Rotate").fill("60")
    page.get_by_label("Noise").fill("0.5")
    assert page.locator("output[for=slider-rotate]").inner_text() == "60°"
    deadline = time.monotonic() + 60
    while seen.screenshot() == before:
        assert time.monotonic() < deadline
        page.wait_for_timeout(50)
    page.get_by_role("button", name="Reset sliders").click()
    page.says("say 7")


def test_a_disagreement_is_found_and_shown(open_page: Open) -> None:
    page = open_page()
    page.get_by_role("button", name="Find a disagreement").click()
    page.locator(".find").first.wait_for()
    page.get_by_role("button", name="Find a disagreement").wait_for()
    assert re.search(r"\d found among \d+ inputs", page.locator("#hunt-said").inner_text())
    chips = page.locator(".find").first.locator(".chip").all_inner_texts()
    assert len(chips) == 4
    assert len({re.search(r": (\d)", chip)[1] for chip in chips}) > 1, chips
    page.locator(".find").first.click()
    page.says("They disagree")


@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_everything_fits_is_named_and_can_be_read(
    open_page: Open, strokes: ModuleType, size: Any, dark: bool
) -> None:
    page = open_page(size, dark, reduced_motion="reduce")
    if folder := os.environ.get("PLAYGROUND_PICTURES"):
        name = f"playground-{size[0]}-{'dark' if dark else 'light'}.png"
        take_picture(page, Path(folder) / name, strokes)
    page.can_be_read()


def test_a_rolling_update_and_its_rollback_are_seen_live(open_page: Open, playground: Any) -> None:
    page = open_page()
    page.evaluate(KEEP_FAILURES)
    for command, version in ((("deploy", "--version", "2"), 2), (("rollback",), 1)):
        playground.command(*command)
        for server in ("tfserving", "torchserve"):
            page.serves(server, f"version {version}")
        page.locator(".engine .version", has_text=f"version {version}").nth(ENGINES - 1).wait_for()
    assert page.evaluate("window.failures") == [], "nobody was down, not even for one question"


def test_a_dead_server_is_named_and_a_new_one_taken_back(open_page: Open, playground: Any) -> None:
    page = open_page()
    space = playground.space
    (torchserve,) = [each for each in left_running(space) if each.name == "torchserve"]
    stop_process_tree(torchserve.pid, 10)
    page.warns("TorchServe is down")
    page.locator('.engine[data-engine="torchserve-grpc"][data-state="down"]').wait_for()
    page.says("The four that answer say")
    playground.command("stop")
    page.warns("TF Serving is down")
    page.says("The two that answer say")
    playground.command("serve")
    page.answered().nth(ENGINES - 1).wait_for()
    page.says("All six|They disagree")
    page.warns("")


def test_a_page_outlives_its_application_and_ctrl_c_ends_it(
    open_page: Open, playground: Any
) -> None:
    mine = left_running(playground.space)
    assert len(mine) == 2
    playground.process.send_signal(signal.SIGINT)
    assert playground.process.wait(60) == 130
    assert "Traceback" not in playground.output.read_text()
    assert all(each.is_running() for each in mine), "it stops only what it has started itself"
    playground.command("stop")
