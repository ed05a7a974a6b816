"""Engines of the tests' own, and a client of the application without a network."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np

from models.contract import Tensors
from pipelines.playground.engines import Reply

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


def lines(answer: Any) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.text.splitlines()]
