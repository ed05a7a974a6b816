"""A case of fields with both servers behind it, in a real browser: words, numbers, gaps, and a server that dies.

The last test breaks a server, so their order matters.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipelines.serve import left_running
from pipelines.workspace import Workspace
from serving.process_tree import stop_process_tree

pytestmark = [pytest.mark.servers, pytest.mark.frameworks, pytest.mark.timeout(900)]

Open = Callable[..., Any]
PHONE, DESKTOP = (390, 844), (1280, 800)
ENGINES = 5
"""Both servers over both protocols, and one TFLite file: this case has none in int8."""
SCORES = """
() => Object.fromEntries([...document.querySelectorAll('.engine[data-state="answered"]')].map((card) =>
  [card.dataset.engine, Number(card.querySelector(".bar i").style.getPropertyValue("--share"))]))
"""
ROWS = 1500
LEARNED = {"epochs": 10, "batch_size": 32, "learning_rate": 0.003}


@pytest.fixture(scope="module")
def playground(start_playground: Callable[..., Any], home: Any) -> Iterator[Any]:
    """Few rows, learned by heart: networks that are as sure of both labels as those of many rows."""
    from pipelines.alone import export_alone, train_alone

    settings = home.model_copy(update={"sample": ROWS, "tfx": False})
    space = Workspace.open("flights", settings, LEARNED)
    train_alone(space)
    export_alone(space)
    with start_playground(Workspace.open("flights", settings)) as running:
        yield running


def scores(page: Any) -> dict[str, float]:
    """By engine that answers, the first label's probability, as exactly as its bar has it."""
    found: dict[str, float] = page.evaluate(SCORES)
    return found


def scores_after(page: Any, edit: Callable[[], None]) -> dict[str, float]:
    """The same once an edit has changed every engine's answer."""
    before = scores(page)
    edit()
    deadline = time.monotonic() + 60
    while len(now := scores(page)) < ENGINES or any(now[key] == before[key] for key in now):
        assert time.monotonic() < deadline, f"{before}, then {now}"
        page.wait_for_timeout(50)
    return now


def take_picture(page: Any, target: Path) -> None:
    """For the documentation: a row that divides them, and others that were found."""
    page.get_by_role("button", name="Find a disagreement").click()
    page.locator("#hunt-said", has_text=re.compile("ound among")).wait_for()
    if page.locator(".find").count():
        page.locator(".find").first.click()
    page.wait_for_timeout(8000)  # some times for the lines
    page.evaluate("scrollTo(0, 0)")
    page.screenshot(path=target, full_page=page.viewport_size["width"] > 600)


def test_all_answer_a_real_row_and_say_with_what(open_page: Open) -> None:
    page = open_page()
    page.says("All five say (on time|late)")
    assert page.locator(".engine .version").all_inner_texts()[:ENGINES] == ["version 1"] * ENGINES
    int8 = page.locator('.engine[data-engine="tflite-int8"]')
    assert int8.get_attribute("data-state") == "absent"
    assert "four of ours are text" in int8.inner_text()


def test_words_numbers_and_gaps_reach_every_engine(open_page: Open) -> None:
    page = open_page()
    for edit in (
        lambda: page.get_by_label("carrier two letters").fill("F9"),
        lambda: page.get_by_label("minute_of_day as a slider").fill("1200"),
        lambda: page.get_by_label("humid is missing").check(),
        lambda: page.get_by_label("origin EWR, JFK or LGA").fill("nowhere"),
    ):
        now = scores_after(page, edit)
        for one, other in (
            ("tfserving-rest", "tfserving-grpc"),
            ("tfserving-rest", "tflite"),
            ("torchserve-rest", "torchserve-grpc"),
        ):
            assert now[one] == pytest.approx(now[other], abs=1e-4), (one, other)
    page.says("All five say|They disagree")
    assert page.get_by_label("humid relative humidity").is_disabled()
    assert page.locator("#origin").inner_text() == "Edited"


def test_rows_that_divide_the_frameworks_are_found_and_shown(open_page: Open) -> None:
    page = open_page()
    page.get_by_role("button", name="Find a disagreement").click()
    page.locator(".find").first.wait_for()
    page.get_by_role("button", name="Find a disagreement").wait_for()
    assert re.search(r"\d found among \d+ inputs", page.locator("#hunt-said").inner_text())
    for find in page.locator(".find").all():
        chips = " ".join(find.locator(".chip").all_inner_texts())
        assert "on time" in chips and "late" in chips, chips
    page.locator(".find").first.click()
    page.says("They disagree")


@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_form_fits_is_named_and_can_be_read(
    open_page: Open, size: tuple[int, int], dark: bool
) -> None:
    page = open_page(size, dark, reduced_motion="reduce")
    if folder := os.environ.get("PLAYGROUND_PICTURES"):
        name = f"playground-flights-{size[0]}-{'dark' if dark else 'light'}.png"
        take_picture(page, Path(folder) / name)
    page.can_be_read()


@pytest.mark.parametrize("server", ["tfserving", "torchserve"])
def test_a_dead_server_is_named_and_taken_back(
    open_page: Open, playground: Any, server: str
) -> None:
    page = open_page()
    (dead,) = [each for each in left_running(playground.space) if each.name == server]
    stop_process_tree(dead.pid, 10)
    page.warns(f"{'TF Serving' if server == 'tfserving' else 'TorchServe'} is down.")
    page.says("The three that answer say|They disagree")
    page.can_be_read()
    playground.command("stop")
    playground.command("serve", "--case", "flights")
    page.answered().nth(ENGINES - 1).wait_for()
    page.warns("")
    page.says("All five say|They disagree")
