"""What the application answers and refuses, with engines of the test's own."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest

from models.errors import Unreachable
from pipelines.playground import application
from pipelines.playground.application import Playground
from pipelines.playground.catalogue import Catalogue
from pipelines.playground.engines import Absent
from pipelines.playground.guards import HEADERS, Rate
from pipelines.playground.reading import LARGEST_BODY, MOST_POINTS
from pipelines.playground.watch import Watch
from tests.pipelines.playground.fakes import KEYS, Client, Fake, FakeFleet, always, lines

JSON = {"Content-Type": "application/json"}
STROKES = [[[0.5, 0.1], [0.5, 0.9]]]


# ---- questions -----------------------------------------------------------------------------------


def test_a_drawing_is_answered_by_everybody(client: Client) -> None:
    seen, *answers = lines(client.post("/api/ask", json={"strokes": STROKES}))
    assert np.array(seen["inputs"]["image"]).shape == (8, 8, 1)
    assert {each["engine"] for each in answers} == set(KEYS)
    for each in answers:
        assert (each["winner"], each["version"], each["scores"][3]) == (3, 3, 1.0)
        assert each["milliseconds"] >= 0


def test_sliders_change_what_is_asked(client: Client) -> None:
    plain, *_ = lines(client.post("/api/ask", json={"strokes": STROKES}))
    moved, *_ = lines(client.post("/api/ask", json={"strokes": STROKES, "sliders": {"right": 2}}))
    before, after = (np.array(each["inputs"]["image"])[:, :, 0] for each in (plain, moved))
    assert np.allclose(after[:, 2:], before[:, :-2], atol=1e-3)


def test_a_real_row_comes_with_its_label_and_can_be_asked(client: Client, catalogue) -> None:
    row = client.get("/api/rows/5").json()
    assert row["label"] == catalogue.split.labels[5]
    seen, *_ = lines(client.post("/api/ask", json={"inputs": row["inputs"]}))
    assert seen["inputs"] == row["inputs"]


@pytest.mark.parametrize("question", [{}, {"strokes": []}, {"strokes": [[]]}])
def test_an_empty_page_asks_nobody(client: Client, fleet: FakeFleet, question) -> None:
    assert lines(client.post("/api/ask", json=question)) == [{"inputs": None}]
    assert sum(each.asked for each in fleet.all) == 0


def test_an_engine_that_fails_says_so_and_the_others_answer(client: Client, fleet) -> None:
    def silent(ink: np.ndarray) -> np.ndarray:
        raise Unreachable("nobody listens")

    fleet.all[0].judge = silent
    fleet.all[1] = Absent("tfserving-grpc", "TF Serving", "No server is running.")
    fleet.all[2].judge = lambda ink: 1 / 0
    with pytest.raises(ZeroDivisionError):  # a fault of ours is no answer
        client.post("/api/ask", json={"strokes": STROKES})
    fleet.all[2].judge = always(2)
    said = {
        each["engine"]: each
        for each in lines(client.post("/api/ask", json={"strokes": STROKES}))[1:]
    }
    assert said["tfserving-rest"]["problem"] == "nobody listens"
    assert said["tfserving-grpc"]["problem"] == "No server is running."
    assert said["torchserve-rest"]["winner"] == 2
    assert len(said) == 6


# ---- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("{", "JSON"),
        ('{"strokes": 1}', "strokes"),
        ('{"strokes": [[[1e9, 0]]]}', "strokes"),
        ('{"strokes": [[[NaN, 0]]]}', "strokes"),
        ('{"strokes": [[[0, 0]]], "inputs": {}}', "not both"),
        ('{"unknown": 1}', "unknown"),
        ('{"sliders": {"blur": 99}}', "blur"),
        ('{"inputs": {"picture": []}}', "image"),
        ('{"inputs": {"image": [1, 2]}}', "shape"),
        ('{"inputs": {"image": "ink"}}', "numbers"),
        (json.dumps({"inputs": {"image": [[[None]] * 8] * 8}}), "image"),
        (json.dumps({"inputs": {"image": [[[1e99]] * 8] * 8}}), "cannot hold"),
        (json.dumps({"strokes": [[[0, 0]] * (MOST_POINTS + 1)]}), str(MOST_POINTS)),
        (json.dumps({"strokes": [[[0, 0]]] * (MOST_POINTS + 1)}), str(MOST_POINTS)),
    ],
)
def test_a_wrong_question_is_named_and_asks_nobody(client, fleet, body: str, words: str) -> None:
    answer = client.post("/api/ask", content=body, headers=JSON)
    assert answer.status_code == 422, answer.text
    assert words in answer.json()["error"]
    assert sum(each.asked for each in fleet.all) == 0
    assert lines(client.post("/api/ask", json={"strokes": STROKES})), "the next one is answered"


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8081", "127.0.0.1.evil.example", ""]
)
@pytest.mark.parametrize("path", ["/", "/api/case", "/page/main.js"])
def test_another_name_for_this_machine_is_refused(client: Client, host: str, path: str) -> None:
    assert client.get(path, headers={"Host": host}).status_code == 400
    assert client.get(path, headers={"Host": "localhost:8081"}).status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://127.0.0.1:9999"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Content-Type": "text/plain"}, 415),
        ({"Origin": "http://127.0.0.1:8081", "Sec-Fetch-Site": "same-origin"}, 200),
    ],
)
def test_another_page_may_not_ask(client: Client, headers, status: int) -> None:
    body = json.dumps({"strokes": STROKES})
    for path in ("/api/ask", "/api/search"):
        answer = client.post(path, content=body, headers={**JSON, **headers})
        assert answer.status_code == status, path


def test_a_large_body_is_refused_whether_it_says_so_or_not(client: Client) -> None:
    large = b" " * (LARGEST_BODY + 1)

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(large), 1000):
            yield large[start : start + 1000]

    for content in (large, pieces()):
        answer = client.post("/api/ask", content=content, headers=JSON)
        assert answer.status_code == 413
    fitting = json.dumps({"strokes": STROKES}).encode().ljust(LARGEST_BODY)
    assert client.post("/api/ask", content=fitting, headers=JSON).status_code == 200


def test_every_answer_carries_the_security_headers(client: Client) -> None:
    answers = [
        client.get("/"),
        client.get("/page/main.js"),
        client.get("/page/../application.py"),
        client.get("/nothing"),
        client.get("/", headers={"Host": "evil.example"}),
        client.post("/api/ask", content="{", headers=JSON),
        client.post("/api/ask", content="{", headers={"Origin": "http://evil.example"}),
        client.delete("/api/ask"),
    ]
    assert [each.status_code for each in answers] == [200, 200, 404, 404, 400, 422, 403, 405]
    for answer in answers:
        assert {name: answer.headers[name] for name in HEADERS} == HEADERS
    policy = HEADERS["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy


def test_only_so_many_questions_are_taken(catalogue: Catalogue, fleet: FakeFleet) -> None:
    time = [0.0]
    rate = Rate(1, 2, lambda: time[0])
    app = Playground(catalogue, fleet, rate).application()
    client = Client(app)
    ask = lambda: client.post("/api/ask", json={"strokes": STROKES})  # noqa: E731
    assert [ask().status_code for _ in range(3)] == [200, 200, 429]
    assert ask().headers["Retry-After"] == "1"
    assert client.post("/api/search", json={}).status_code == 429
    time[0] = 1.0
    assert [ask().status_code for _ in range(2)] == [200, 429]


def test_only_so_many_are_asked_at_once(catalogue: Catalogue, fleet: FakeFleet) -> None:
    go, waiting = threading.Event(), threading.Semaphore(0)

    def slow(ink: np.ndarray) -> np.ndarray:
        waiting.release()
        go.wait(30)
        return np.full(len(ink), 1)

    fleet.all = [Fake("tflite", slow)]
    app = Playground(catalogue, fleet).application()
    client = Client(app)
    ask = lambda: client.post("/api/ask", json={"strokes": STROKES})  # noqa: E731
    statuses: list[int] = []
    threads = [
        threading.Thread(target=lambda: statuses.append(ask().status_code))
        for _ in range(application.MOST_QUESTIONS)
    ]
    for thread in threads:
        thread.start()
    for _ in threads:
        assert waiting.acquire(timeout=30)
    assert ask().status_code == 429
    go.set()
    for thread in threads:
        thread.join(30)
    assert statuses == [200] * application.MOST_QUESTIONS
    assert ask().status_code == 200, "their places are free again"


# ---- the servers' state --------------------------------------------------------------------------


def test_a_page_hears_of_every_change(catalogue, fleet: FakeFleet, monkeypatch) -> None:
    monkeypatch.setattr("pipelines.playground.watch.WATCHED_SECONDS", 0.01)
    playground = Playground(catalogue, fleet)
    client = Client(playground.application())

    async def listen() -> None:
        looking = asyncio.create_task(playground.watch.run())
        for wanted in ("up", "down", "up again"):
            fleet.servers["tfserving"] = wanted
            while (await client.request("GET", "/api/state")).json()["servers"][
                "tfserving"
            ] != wanted:
                await asyncio.sleep(0.01)
        looking.cancel()

    asyncio.run(asyncio.wait_for(listen(), 30))


def test_a_look_that_fails_does_not_end_the_watch(fleet: FakeFleet, monkeypatch, caplog) -> None:
    monkeypatch.setattr("pipelines.playground.watch.WATCHED_SECONDS", 0.01)
    looks = iter([RuntimeError("once"), {"servers": "fine"}])

    def look() -> Any:
        found = next(looks, {"servers": "fine"})
        if isinstance(found, Exception):
            raise found
        return found

    fleet.refresh = look  # type: ignore[method-assign]

    async def watch() -> Any:
        watched = Watch(fleet)
        looking = asyncio.create_task(watched.run())
        while watched.state()["servers"] != "fine":
            await asyncio.sleep(0.01)
        looking.cancel()

    asyncio.run(asyncio.wait_for(watch(), 30))
    assert "could not be looked at" in caplog.text
