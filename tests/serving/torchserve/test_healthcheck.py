"""The image's health check against something that answers as TorchServe's management API would."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from serving.torchserve.healthcheck import check


class Management(HTTPServer):
    """Keys in a file; `good` is the one that is accepted; every request is written down."""

    def __init__(self, keys: Path) -> None:
        self.keys, self.good, self.asked = keys, "first", list[str]()
        self.states = ["READY"]
        self.write("first")
        super().__init__(("127.0.0.1", 0), Answer)

    def write(self, key: str) -> None:
        self.keys.write_text(json.dumps({"management": {"key": key}, "API": {"key": "api"}}))

    def answer(self, path: str, key: str) -> tuple[int, object]:
        self.asked.append(path)
        if path == "/token?type=management" and key == "api":
            self.good = "renewed"
            self.write("renewed")
            return 200, {}
        if key != self.good:
            return 400, {"type": "InvalidKeyException"}
        if path != "/models/digits":
            return 404, {"message": "Model not found"}
        return 200, [{"workers": [{"status": state} for state in self.states]}]


class Answer(BaseHTTPRequestHandler):
    server: Management

    def do_GET(self) -> None:
        key = self.headers["Authorization"].removeprefix("Bearer ")
        status, body = self.server.answer(self.path, key)
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_: object) -> None:
        """Not into the tests' output."""


@pytest.fixture
def management(tmp_path: Path) -> Iterator[Management]:
    server = Management(tmp_path / "key_file.json")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def outcome(management: Management, model_name: str = "digits") -> str:
    return check(model_name, management.keys, management.server_port)


def test_healthy_only_with_a_ready_worker(management: Management):
    assert outcome(management) == ""
    management.states = ["UNLOADING", "READY"]
    assert outcome(management) == ""
    management.states = ["UNLOADING"]
    assert outcome(management) == "no worker is READY: UNLOADING"
    management.states = []
    assert outcome(management) == "no worker is READY: none"


def test_a_model_that_is_not_there(management: Management):
    assert outcome(management, "letters").startswith("HTTP 404")
    assert "/token?type=management" not in management.asked


def test_an_expired_key_is_renewed_once(management: Management):
    management.good = "none that anybody has"
    assert outcome(management) == ""
    assert outcome(management) == ""
    assert management.asked.count("/token?type=management") == 1


def test_a_key_that_others_have_renewed_is_read_again(management: Management):
    """Renewing it once more would end the one that they have."""
    reads = iter(["first", "second"])
    management.good = "second"
    answer = management.answer

    def renewed_meanwhile(path: str, key: str) -> tuple[int, object]:
        management.write(next(reads, "second"))
        return answer(path, key)

    next(reads)
    management.answer = renewed_meanwhile  # type: ignore[method-assign]
    assert outcome(management) == ""
    assert "/token?type=management" not in management.asked


def test_nothing_there_is_said(tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        check("digits", tmp_path / "key_file.json", 1)
