"""The page in a real browser, with both servers behind it: what a person does, and what the page then shows.

The last tests break and exchange the servers, so their order matters.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pipelines.serve import left_running
from pipelines.settings import PROJECT
from pipelines.workspace import Workspace
from serving.process_tree import stop_process_tree

pytestmark = [pytest.mark.servers, pytest.mark.frameworks, pytest.mark.timeout(900)]
# The first test waits for two trainings and both servers, with other tests beside it.

PHONE, DESKTOP = (390, 844), (1280, 800)
PATIENCE_MS = 180_000
"""A deadline, never a measurement."""
ENGINES = 6
CONTRAST = """
() => {
  const parse = (text) => text.match(/[\\d.]+/g).map((number, place) =>
    Number(number) * (text.startsWith("color(srgb") && place < 3 ? 255 : 1));
  const over = (top, under) => {
    const a = top[3] ?? 1;
    return [0, 1, 2].map((i) => top[i] * a + under[i] * (1 - a));
  };
  const light = (rgb) => {
    const [r, g, b] = rgb.map((c) => c / 255).map((c) => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (node) => {
    const own = node ? parse(getComputedStyle(node).backgroundColor) : [255, 255, 255, 1];
    return (own[3] ?? 1) === 1 ? own.slice(0, 3) : over(own, ground(node.parentElement));
  };
  const poor = [];
  for (const node of document.querySelectorAll("body *")) {
    const words = [...node.childNodes].filter((n) => n.nodeType === 3 && n.textContent.trim());
    if (!words.length || !node.offsetParent || node.closest(".unseen, .skip, :disabled, .off")) continue;
    const style = getComputedStyle(node);
    const behind = ground(node);
    const ink = parse(style.color);
    ink[3] = (ink[3] ?? 1) * Number(style.opacity);
    const [a, b] = [light(over(ink, behind)), light(behind)].sort((x, y) => y - x);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < (large ? 3 : 4.5)) poor.push(`${node.className}: ${words[0].textContent} ${ratio.toFixed(2)}`);
  }
  return poor;
}
"""
UNNAMED = """
() => [...document.querySelectorAll("input, button, canvas, progress, select")].filter((node) => node.offsetParent
  && !node.labels?.length && !node.getAttribute("aria-label") && !node.textContent.trim()
  && node.getAttribute("aria-hidden") !== "true").map((node) => node.outerHTML)
"""

Open = Callable[..., Any]


@pytest.fixture
def open_page(browser: Any, playground: Any) -> Iterator[Open]:
    """``open_page(dark=True)``: the page once everybody has answered; it must not have complained at the end."""
    contexts: list[Any] = []
    problems: list[str] = []

    def elsewhere(url: str) -> None:
        if not url.startswith(playground.url):
            problems.append(f"request to {url}")

    def page_of(size: tuple[int, int] = DESKTOP, dark: bool = False, **more: Any) -> Any:
        context = browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            color_scheme="dark" if dark else "light",
            **more,
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("console", lambda said: problems.append(said.text))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("request", lambda asked: elsewhere(asked.url))
        page.problems = problems
        page.goto(playground.url)
        answered(page).nth(ENGINES - 1).wait_for()
        return page

    yield page_of
    for context in contexts:
        context.close()
    assert problems == [], (
        "console, exceptions, requests to elsewhere: also what the policy refuses"
    )


def answered(page: Any, *, winner: int | None = None) -> Any:
    state = '[data-state="answered"]' + ("" if winner is None else f'[data-winner="{winner}"]')
    return page.locator(f".engine{state}")


def says(page: Any, words: str) -> None:
    """Wait until the verdict holds these words."""
    page.locator("#verdict", has_text=re.compile(words)).wait_for()


def run(command: str, space: Workspace) -> None:
    """A subcommand, as a person would in another terminal."""
    subprocess.run(
        [sys.executable, "-m", "pipelines", command],
        cwd=PROJECT,
        env={
            **os.environ,
            "TWINSERVE_ARTIFACTS": str(space.settings.artifacts),
            "TWINSERVE_STATE": str(space.settings.state),
        },
        check=True,
        timeout=240,
        stdout=subprocess.DEVNULL,
    )


def draw(page: Any, strokes: list[list[tuple[float, float]]]) -> None:
    page.get_by_role("button", name="Clear").click()
    says(page, "Nothing asked yet")
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
        answered(page, winner=digit).nth(ENGINES - 1).wait_for()
        says(page, f"All six say {digit}")
    page.get_by_role("button", name="Undo").click()
    page.get_by_role("button", name="Undo").click()
    says(page, "Nothing asked yet")


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
    answered(page).nth(ENGINES - 1).wait_for()
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
    says(page, "Nothing asked yet")
    page.keyboard.press("Space")
    page.locator("#pen", has_text="Pen down").wait_for(state="attached")
    for _ in range(4):
        page.keyboard.press("Shift+ArrowDown")
    answered(page, winner=1).nth(ENGINES - 1).wait_for()
    says(page, "All six say 1")
    page.keyboard.press("Space")
    page.keyboard.press("Backspace")
    says(page, "Nothing asked yet")


def test_a_finger_draws(open_page: Open, strokes: ModuleType) -> None:
    page = open_page(PHONE, dark=True, has_touch=True, is_mobile=True)
    page.get_by_role("button", name="Clear").tap()
    says(page, "Nothing asked yet")
    box = page.locator("#pad").bounding_box()
    touch = page.context.new_cdp_session(page)
    for stroke in strokes.DIGITS[7]:
        for place, (x, y) in enumerate(stroke):
            point = {"x": box["x"] + x * box["width"], "y": box["y"] + y * box["height"]}
            kind = "touchMove" if place else "touchStart"
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [point]})
        touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    says(page, "All six say 7")


def test_sliders_change_what_the_models_see(open_page: Open, strokes: ModuleType) -> None:
    page = open_page()
    draw(page, strokes.DIGITS[7])
    says(page, "say 7")
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
    says(page, "say 7")


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
    says(page, "They disagree")


@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_everything_fits_is_named_and_can_be_read(
    open_page: Open, strokes: ModuleType, size: Any, dark: bool
) -> None:
    page = open_page(size, dark, reduced_motion="reduce")
    if folder := os.environ.get("PLAYGROUND_PICTURES"):
        name = f"playground-{size[0]}-{'dark' if dark else 'light'}.png"
        take_picture(page, Path(folder) / name, strokes)
    assert page.evaluate("document.documentElement.scrollWidth") == size[0]
    assert page.evaluate(CONTRAST) == []
    assert page.evaluate(UNNAMED) == []


def test_a_rolling_update_is_seen_live(open_page: Open, playground: Any) -> None:
    from pipelines.deploy import deploy

    page = open_page()
    space = playground.space
    deploy(space, space.manifest(2))
    for server in ("tfserving", "torchserve"):
        page.locator(
            f'.pill[data-server="{server}"] .pill-version', has_text="version 2"
        ).wait_for()
    page.locator(".engine .version", has_text="version 2").nth(ENGINES - 1).wait_for()


def test_a_dead_server_is_named_and_a_new_one_taken_back(open_page: Open, playground: Any) -> None:
    page = open_page()
    space = playground.space
    (torchserve,) = [each for each in left_running(space) if each.name == "torchserve"]
    stop_process_tree(torchserve.pid, 10)
    page.locator("#alert", has_text="TorchServe is down").wait_for()
    page.locator('.engine[data-engine="torchserve-grpc"][data-state="down"]').wait_for()
    says(page, "The four that answer say")
    run("stop", space)
    page.locator("#alert", has_text="TF Serving is down").wait_for()
    says(page, "The two that answer say")
    run("serve", space)
    answered(page).nth(ENGINES - 1).wait_for()
    says(page, "All six|They disagree")
    page.locator("#alert").wait_for(state="hidden")


def test_a_page_outlives_its_application_and_ctrl_c_ends_it(
    open_page: Open, playground: Any
) -> None:
    mine = left_running(playground.space)
    assert len(mine) == 2
    playground.process.send_signal(signal.SIGINT)
    assert playground.process.wait(60) == 130
    assert "Traceback" not in playground.output.read_text()
    assert all(each.is_running() for each in mine), "it stops only what it has started itself"
    run("stop", playground.space)
