"""How the page is offered."""

from __future__ import annotations

import socket
from typing import Any
from urllib.parse import urlsplit

import pytest
from rich.console import Console

from pipelines.playground import running

pytestmark = pytest.mark.frameworks


def test_a_browser_that_comes_before_the_application_runs_is_not_refused(
    trained: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    came: list[str] = []

    def come(url: str) -> None:
        place = urlsplit(url)
        with socket.create_connection((place.hostname, place.port), timeout=10):
            came.append(url)

    monkeypatch.setattr(running, "leave_running", lambda *_: None)
    monkeypatch.setattr(running, "_has_browser", lambda: True)
    monkeypatch.setattr(running, "_serve", lambda *_: None)
    monkeypatch.setattr("webbrowser.open", come)
    running.run_playground(trained.space, 0, True, Console(quiet=True))
    assert len(came) == 1
