"""The search for inputs that divide the engines, through the application."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from models.case import load_case
from models.contract import Contract, Tensors, TensorSpec
from models.split import Split
from pipelines.playground import application, search
from pipelines.playground.application import Playground
from pipelines.playground.catalogue import Catalogue
from pipelines.playground.engines import Absent, Reply
from tests.pipelines.playground.fakes import KEYS, Client, FakeFleet, above, always, lines

STROKES = [[[0.5, 0.1], [0.5, 0.9]]]


def hunt(client: Client, **question: Any) -> list[dict[str, Any]]:
    return lines(client.post("/api/search", json=question))


def test_a_search_finds_what_divides_and_takes_the_change_back(client, fleet, catalogue) -> None:
    ink = catalogue.split.inputs["image"].sum((1, 2, 3))
    # Three rows have less as they are; for more it takes a change.
    limit = float(np.sort(ink)[3])
    for each in fleet.all[:2]:
        each.judge = above(limit)
    for each in fleet.all[2:]:
        each.judge = always(1)
    found = [line["found"] for line in hunt(client, kind="frameworks", seed=1) if "found" in line]
    changed = [each for each in found if each["change"]]
    assert changed
    assert all(ink[each["row"]] > limit for each in changed), "it took a change"
    assert all(ink[each["row"]] <= limit for each in found if not each["change"])
    for each in found:
        assert np.sum(each["inputs"]["image"]) <= limit
        assert {said["engine"]: said["winner"] for said in each["said"]} == {
            "tfserving-grpc": 0,
            "torchserve-grpc": 1,
        }
        assert each["label"] == catalogue.split.labels[each["row"]]


class Gusty:
    """Calls windy what is above its limit."""

    def __init__(self, key: str, limit: float) -> None:
        self.key, self.label, self.limit = key, key, limit

    def ask(self, inputs: Tensors) -> Reply:
        windy = (inputs["wind"] > self.limit).astype(int)
        return Reply({"probabilities": np.eye(2, dtype=np.float32)[windy]}, 1)


def test_a_search_finds_the_narrow_gap_between_two_boundaries() -> None:
    """A change that turns both answers is followed to where only one has turned."""
    contract = Contract(
        inputs=(TensorSpec("wind", "float32", (), "miles per hour", low=0, high=90),),
        outputs=tuple(TensorSpec(name, "float32", (2,)) for name in ("logits", "probabilities")),
        labels=("calm", "windy"),
        scores="probabilities",
        logits="logits",
    )
    wind = np.random.default_rng(2).normal(20, 5, 600).astype(np.float32)
    case = replace(load_case("digits"), contract=contract)
    catalogue = Catalogue.of(case, Split({"wind": wind}, np.zeros(600, np.int64)))
    fleet = FakeFleet([Gusty("tfserving-grpc", 25.0), Gusty("torchserve-grpc", 25.01)])
    *said, last = hunt(Client(Playground(catalogue, fleet).application()), kind="frameworks")
    assert (last["done"], last["finds"]) == ("enough", search.WANTED)
    assert last["tried"] < search.FIRST_ROWS + 10 * search.BATCH
    found = [each["found"]["inputs"]["wind"] for each in said if "found" in each]
    assert all(25 < each <= 25.01 for each in found), found


def test_the_same_seed_finds_the_same(client: Client, fleet: FakeFleet) -> None:
    for each in fleet.all[4:]:
        each.judge = above(330.0 if each.key == "tflite" else 335.0)
    finds = [
        [line["found"] for line in hunt(client, kind="int8", seed=seed) if "found" in line]
        for seed in (5, 5, 6)
    ]
    assert len(finds[0]) == search.WANTED
    assert finds[0] == finds[1]
    assert finds[0] != finds[2]


def test_a_search_starts_from_the_drawing_where_it_is_asked_to(client, fleet) -> None:
    for each in fleet.all[4:]:
        each.judge = above(310.0 if each.key == "tflite" else 345.0)
    found = [
        line["found"] for line in hunt(client, kind="int8", strokes=STROKES) if "found" in line
    ]
    assert found
    assert all(each["row"] is None for each in found)


def test_a_search_without_success_ends_and_shows_how_far_it_is(client, monkeypatch) -> None:
    monkeypatch.setattr(search, "BUDGET", 96)
    *progress, last = hunt(client)
    assert [line["tried"] for line in progress] == [32, 64, 96]
    assert last == {"done": "budget", "tried": 96, "finds": 0}
    monkeypatch.setattr(search, "DEADLINE_SECONDS", 0.0)
    assert hunt(client)[-1]["done"] == "time"


def test_a_search_needs_two_and_says_what_stopped_it(client: Client, fleet) -> None:
    fleet.all = [Absent(key, key, "down") for key in KEYS[:4]] + fleet.all[4:]
    (last,) = hunt(client, kind="frameworks")
    assert last["done"] == "error"
    assert "Fewer than two" in last["problem"]
    assert hunt(client, kind="int8")[-1]["done"] == "budget"


def test_one_search_at_a_time_and_one_that_is_left_ends(client, fleet, monkeypatch) -> None:
    monkeypatch.setattr(search, "BUDGET", 10**9)
    monkeypatch.setattr(application, "Search", _Endless)
    statuses = []

    def left() -> None:
        # The test client reads a whole answer; a page that goes away is a cancelled task.
        async def go() -> None:
            app = client.app
            body = json.dumps({}).encode()
            received = iter([{"type": "http.request", "body": body}])
            gone = asyncio.Event()

            async def receive() -> Any:
                try:
                    return next(received)
                except StopIteration:
                    await gone.wait()
                    return {"type": "http.disconnect"}

            async def send(message: Any) -> None:
                if message["type"] == "http.response.start":
                    statuses.append(message["status"])
                elif message.get("body"):
                    second = await client.request("POST", "/api/search", json={})
                    statuses.append(second.status_code)
                    gone.set()

            headers = [(b"host", b"127.0.0.1:8081"), (b"content-type", b"application/json")]
            scope = {"type": "http", "method": "POST", "path": "/api/search", "headers": headers,
                     "query_string": b"", "http_version": "1.1", "app": app}  # fmt: skip
            await asyncio.wait_for(app(scope, receive, send), 30)

        asyncio.run(go())

    left()
    assert statuses[:2] == [200, 429]
    monkeypatch.setattr(search, "BUDGET", 32)
    monkeypatch.setattr(application, "Search", search.Search)
    assert hunt(client)[-1]["done"] == "budget", "the place is free again"


class _Endless:
    def __init__(self, *_: object) -> None:
        pass

    def steps(self) -> Iterator[dict[str, Any]]:
        while True:
            yield {"tried": 1}
