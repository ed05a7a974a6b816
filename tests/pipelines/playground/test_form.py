"""The form of a case that is not drawn, in a real browser: numbers, words, gaps, grids, and what stays a row's."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from models.case import load_case
from models.contract import Contract, Tensors, TensorSpec
from models.split import Split
from pipelines.playground.application import Playground
from pipelines.playground.catalogue import Catalogue
from pipelines.playground.engines import Absent, Reply

ROWS = 40
CONTRACT = Contract(
    inputs=(
        TensorSpec("age", "int64", (), "years", low=0, high=120),
        TensorSpec("gust", "float32", (), "miles per hour", low=0, high=90, missing=True),
        TensorSpec("hue", "float32", (1,), "of a wine"),
        TensorSpec("carrier", "string", (), "two letters", missing=True),
        TensorSpec("grid", "float32", (2, 3), "six numbers"),
        TensorSpec("long", "float32", (100,), "a hundred numbers"),
    ),
    outputs=(
        TensorSpec("logits", "float32", (2,)),
        TensorSpec("probabilities", "float32", (2,)),
    ),
    labels=("on time", "late"),
    scores="probabilities",
    logits="logits",
)


class Heard:
    """An engine that keeps what it was asked; late is what flies with UA, and above ``limit`` years."""

    def __init__(self, key: str, limit: int) -> None:
        self.key, self.label, self.limit = key, f"Heard {key}", limit
        self.last: dict[str, Any] = {}
        self.gate = threading.Event()
        self.gate.set()

    def ask(self, inputs: Tensors) -> Reply:
        if len(inputs["age"]) == 1:
            self.last = {name: rows[0] for name, rows in inputs.items()}
        else:
            self.gate.wait(60)  # a search asks in batches
        late = (inputs["carrier"] == "UA") | (inputs["age"] > self.limit)
        return Reply({"probabilities": np.eye(2, dtype=np.float32)[late.astype(int)]}, 1)


class Fleet:
    def __init__(self) -> None:
        self.all: list[Any] = [
            Heard("tfserving-rest", 60),
            Heard("torchserve-rest", 70),
            Absent("tflite-int8", "TFLite int8", "Left out: it has text.", for_good=True),
        ]

    def refresh(self) -> dict[str, Any]:
        return self.state()

    def state(self) -> dict[str, Any]:
        return {"servers": {}, "files": 1, "absent": ["tflite-int8"]}

    def engines(self) -> list[Any]:
        return self.all


@pytest.fixture(scope="module")
def fleet() -> Fleet:
    return Fleet()


@pytest.fixture(scope="module")
def url(fleet: Fleet, serve_page: Callable[..., Any]) -> Iterator[str]:
    """The page of a case with every kind of input, over a real socket."""
    draw = np.random.default_rng(3)
    inputs = {
        "age": np.arange(ROWS) + 20,
        "gust": np.full(ROWS, np.nan, np.float32),
        "hue": np.full((ROWS, 1), 0.5, np.float32),
        "carrier": np.array(["AA", "B6"] * (ROWS // 2)),
        "grid": draw.normal(size=(ROWS, 2, 3)).astype(np.float32),
        "long": draw.normal(size=(ROWS, 100)).astype(np.float32),
    }
    case = replace(load_case("digits"), title="Every kind of input", contract=CONTRACT)
    catalogue = Catalogue.of(case, Split(inputs, np.zeros(ROWS, np.int64)))
    with serve_page(Playground(catalogue, fleet)) as served:
        yield served


@pytest.fixture
def page(open_playground: Callable[..., Any], url: str) -> Iterator[Any]:
    opened = open_playground(url)
    opened.says("say on time")
    yield opened
    # A search that begins before the one before has ended is refused with 429, and the browser says so.
    opened.problems[:] = [said for said in opened.problems if "429" not in said]


def heard(fleet: Fleet, name: str, wanted: Any) -> None:
    """Wait until an engine has been asked with this value."""
    deadline = time.monotonic() + 60
    while not np.array_equal(
        fleet.all[0].last[name], wanted, equal_nan=np.asarray(wanted).dtype.kind == "f"
    ):
        assert time.monotonic() < deadline, fleet.all[0].last[name]
        time.sleep(0.02)


def test_a_row_is_shown_as_it_is(page: Any) -> None:
    assert page.locator("#origin").inner_text() == "Test row 0, labelled on time"
    assert page.get_by_label("age years").input_value() == "20"
    assert page.get_by_label("gust is missing").is_checked()
    assert page.get_by_label("gust miles per hour").is_disabled()
    assert page.get_by_label("carrier two letters").input_value() == "AA"
    assert page.locator(".numbers input").count() == 6
    assert "100 numbers, from real rows" in page.locator("#fields").inner_text()
    assert not page.locator("#drawing").is_visible()


def test_every_kind_of_field_is_asked_about(page: Any, fleet: Fleet) -> None:
    page.get_by_label("age years").fill("33")
    heard(fleet, "age", np.int64(33))
    page.get_by_label("gust is missing").uncheck()
    page.get_by_label("gust miles per hour").fill("12.5")
    heard(fleet, "gust", np.float32(12.5))
    page.get_by_label("gust is missing").check()
    heard(fleet, "gust", np.float32(np.nan))
    page.get_by_label("hue of a wine").fill("0.75")
    heard(fleet, "hue", np.array([0.75], np.float32))
    page.get_by_label("grid, 6 of 6").fill("9")
    deadline = time.monotonic() + 60
    while fleet.all[0].last["grid"][1, 2] != 9:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    page.get_by_label("carrier two letters").fill("UA")
    heard(fleet, "carrier", "UA")
    page.says("say late")


def test_a_slider_and_its_number_are_one(page: Any, fleet: Fleet) -> None:
    page.get_by_label("age as a slider").fill("99")
    heard(fleet, "age", np.int64(99))
    assert page.get_by_label("age years").input_value() == "99"
    page.says("say late")


def test_what_cannot_be_read_is_not_asked(page: Any, fleet: Fleet) -> None:
    page.get_by_label("age years").fill("")
    page.locator("#origin", has_text="empty or not a number").wait_for()
    page.says("Not asked")
    assert page.answered().count() == 0
    page.get_by_label("age years").fill("1.5")
    page.locator("#origin", has_text="empty or not a number").wait_for()
    assert fleet.all[0].last["age"] == 20


def test_engines_divided_by_a_field_are_found_out(page: Any) -> None:
    assert page.locator('input[value="int8"]').is_disabled(), "this case has no such file"
    page.get_by_label("age years").fill("65")
    page.says("They disagree")
    page.get_by_label("age years").fill("58")
    page.says("say on time")
    page.locator('input[name="start"][value="current"]').check()
    page.get_by_role("button", name="Find a disagreement").click()
    page.locator(".find").first.wait_for()
    page.get_by_role("button", name="Find a disagreement").wait_for()
    assert "age" in " ".join(page.locator(".find .quiet").all_inner_texts())
    page.get_by_role("button", name="Take a real row").click()
    page.says("say on time")


def test_a_search_can_be_stopped_and_begun_again(page: Any, fleet: Fleet) -> None:
    gate = fleet.all[0].gate
    gate.clear()
    page.get_by_role("button", name="Find a disagreement").click()
    page.get_by_role("button", name="Stop").click()
    page.locator("#hunt-said", has_text="Stopped.").wait_for()
    gate.set()
    deadline = time.monotonic() + 60
    while "inputs" not in page.locator("#hunt-said").inner_text():  # its place is free in a moment
        assert time.monotonic() < deadline
        page.get_by_role("button", name="Find a disagreement").click()
        page.get_by_role("button", name="Find a disagreement").wait_for()
