"""Keys: their file, their end, their renewal."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from models.errors import BadRequest, ServerNotReady, Unreachable
from serving.torchserve.tokens import Tokens

NOW = datetime(2025, 1, 31, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def key_file(inference="inf-1", management="man-1", expires=NOW + HOUR):
    stamp = expires.strftime("%Y-%m-%dT%H:%M:%S.%f") + "789Z"  # Java writes nine decimals
    return json.dumps(
        {
            "management": {"key": management, "expiration time": stamp},
            "inference": {"key": inference, "expiration time": stamp},
            "API": {"key": "api"},
        }
    )


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "key_file.json").write_text(key_file())
    return tmp_path


class Renewing:
    """A management API that does what TorchServe's does on GET /token."""

    def __init__(self, folder):
        self.folder = folder
        self.requests = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        renewed = {request.url.params["type"]: f"renewed-{len(self.requests)}"}
        text = key_file(**renewed, expires=NOW + 9 * HOUR)
        (self.folder / "key_file.json").write_text(text)
        return httpx.Response(200)


def tokens(
    folder, handler: Callable[[httpx.Request], httpx.Response] | None = None, now=NOW
) -> Tokens:
    def unexpected(request: httpx.Request) -> httpx.Response:
        raise AssertionError(f"nothing should be asked: {request.url}")

    transport = httpx.MockTransport(handler or unexpected)
    return Tokens(folder, "http://here", transport=transport, now=lambda: now)


def test_good_keys_are_handed_out_without_asking(folder):
    ours = tokens(folder)
    assert ours.headers("inference") == {"Authorization": "Bearer inf-1"}
    assert ours.headers("management") == {"Authorization": "Bearer man-1"}
    assert ours.metadata("inference") == (("authorization", "Bearer inf-1"),)


@pytest.mark.parametrize("before_end", [timedelta(seconds=60), timedelta(0), -HOUR])
@pytest.mark.parametrize("purpose", ["inference", "management"])
def test_a_key_at_its_end_is_renewed_with_the_api_key(folder, purpose, before_end):
    api = Renewing(folder)
    ours = tokens(folder, api, NOW + HOUR - before_end)
    assert ours.token(purpose) == "renewed-1"
    assert ours.token(purpose) == "renewed-1"
    [request] = api.requests
    assert request.url == f"http://here/token?type={purpose}"
    assert request.headers["Authorization"] == "Bearer api"


def test_many_threads_renew_once(folder):
    api = Renewing(folder)
    ours = tokens(folder, api, NOW + HOUR)
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda: found.append(ours.token("inference"))) for _ in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["renewed-1"] * 16
    assert len(api.requests) == 1


def test_keys_renewed_by_somebody_else_are_read_again(folder):
    ours = tokens(folder)
    assert ours.token("inference") == "inf-1"
    (folder / "key_file.json").write_text(key_file(inference="renewed-elsewhere"))
    assert ours.token("inference") == "renewed-elsewhere"


def test_after_a_refusal_another_key_is_worth_another_try(folder):
    ours = tokens(folder)
    assert ours.token("inference") == "inf-1"
    assert not ours.changed("inference", "inf-1")
    (folder / "key_file.json").write_text(key_file(inference="after-a-restart"))
    assert ours.changed("inference", "inf-1")
    # A second thread whose request was refused with the same old key, a moment later.
    assert ours.changed("inference", "inf-1")
    assert not ours.changed("inference", "after-a-restart")


def test_a_file_caught_half_written_keeps_the_keys_read_before(folder):
    ours = tokens(folder)
    ours.token("inference")
    (folder / "key_file.json").write_text(key_file()[:40])
    assert ours.token("inference") == "inf-1"
    (folder / "key_file.json").write_text(key_file(inference="whole-again"))
    assert ours.token("inference") == "whole-again"


@pytest.mark.parametrize("text", [None, "", "{}", "[]"])
def test_without_keys_the_server_is_not_ready(tmp_path, text):
    if text is not None:
        (tmp_path / "key_file.json").write_text(text)
    with pytest.raises(ServerNotReady, match=r"key_file\.json"):
        tokens(tmp_path).token("inference")


def test_a_refused_renewal_is_told_in_the_servers_words(folder):
    def refuse(request: httpx.Request) -> httpx.Response:
        return httpx.Response(400, text="InvalidKeyException")

    with pytest.raises(BadRequest, match="InvalidKeyException") as caught:
        tokens(folder, refuse, NOW + HOUR).token("inference")
    assert caught.value.status == "400"


def test_a_silent_server_is_unreachable(folder):
    def silent(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    with pytest.raises(Unreachable, match="refused"):
        tokens(folder, silent, NOW + HOUR).token("management")


def test_the_header_file_is_for_its_owner_only(folder):
    header = tokens(folder).header_file("inference")
    assert header == folder / "inference.header"
    assert header.read_text() == "Authorization: Bearer inf-1\n"
    assert header.stat().st_mode & 0o777 == 0o600
    (folder / "key_file.json").write_text(key_file(inference="inf-2"))
    tokens(folder).header_file("inference")
    assert header.read_text() == "Authorization: Bearer inf-2\n"
