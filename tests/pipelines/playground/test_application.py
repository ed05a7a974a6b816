"""What the application answers and refuses, with engines of the test's own."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from typing import Any

import httpx
import numpy as np
import pytest

from models.case import case_function, load_case
from models.contract import Contract, Tensors, TensorSpec
from models.errors import Unreachable
from models.split import Split
from pipelines.playground import application, search
from pipelines.playground.application import Playground
from pipelines.playground.catalogue import Catalogue
from pipelines.playground.engines import Absent, Reply
from pipelines.playground.guards import HEADERS, Rate
from pipelines.playground.reading import LARGEST_BODY, MOST_POINTS
from pipelines.playground.watch import Watch

JSON = {"Content-Type": "application/json"}
STROKES = [[[0.5, 0.1], [0.5, 0.9]]]
KEYS = (
    "tfserving-rest",
    "tfserving-grpc",
    "torchserve-rest",
    "torchserve-grpc",
    "tflite",
    "tflite-int8",
)


class Client:
    """Asks an application without a network; each request in an event loop of its own."""

    def __init__(self, app: Any, base_url: str = "http://127.0.0.1:8081") -> None:
        self.app = app
        self._base_url = base_url

    def get(self, path: str, **more: Any) -> httpx.Response:
        return asyncio.run(self.request("GET", path, **more))

    def post(self, path: str, **more: Any) -> httpx.Response:
        return asyncio.run(self.request("POST", path, **more))

    def delete(self, path: str) -> httpx.Response:
        return asyncio.run(self.request("DELETE", path))

    async def request(self, method: str, path: str, **more: Any) -> httpx.Response:
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url=self._base_url) as client:
            return await client.request(method, path, **more)


class Fake:
    """Answers with what ``judge`` makes of each image's ink."""

    def __init__(self, key: str, judge: Callable[[np.ndarray], np.ndarray]) -> None:
        self.key = key
        self.label = f"Fake {key}"
        self.judge = judge
        self.asked = 0

    def ask(self, inputs: Tensors) -> Reply:
        self.asked += 1
        rows = self.judge(inputs["image"].sum((1, 2, 3)))
        return Reply({"probabilities": np.eye(10, dtype=np.float32)[rows]}, 3)


class FakeFleet:
    def __init__(self, engines: list[Any]) -> None:
        self.all = engines
        self.servers: dict[str, Any] = {"tfserving": "up"}

    def refresh(self) -> dict[str, Any]:
        return self.state()

    def state(self) -> dict[str, Any]:
        return {"servers": dict(self.servers), "files": 1, "absent": []}

    def engines(self) -> list[Any]:
        return self.all


def always(label: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda ink: np.full(len(ink), label)


def above(limit: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda ink: (ink > limit).astype(int)


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    case = load_case("digits")
    return Catalogue.of(case, case_function("digits", "data", "load")(7).test)


@pytest.fixture
def fleet() -> FakeFleet:
    return FakeFleet([Fake(key, always(3)) for key in KEYS])


@pytest.fixture
def client(catalogue: Catalogue, fleet: FakeFleet) -> Client:
    return Client(Playground(catalogue, fleet).application())


def lines(answer: Any) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.text.splitlines()]


def hunt(client: Client, **question: Any) -> list[dict[str, Any]]:
    return lines(client.post("/api/search", json=question))


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


# ---- the search ----------------------------------------------------------------------------------


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
