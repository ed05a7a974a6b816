"""``make bench-loadgen``: what wrk is handed, what it says, and what is concluded."""

from __future__ import annotations

import argparse
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks import loadgen
from models.errors import ProgramMissing, TwinServeError
from serving.wire.call import WireCall

SAID = {
    "right": ("Requests/sec:   1234.50", 0),
    "refused": ("Non-2xx or 3xx responses: 7\\nRequests/sec:   1234.50", 0),
    "broken": ("Socket errors: connect 0, read 3\\nRequests/sec:   1234.50", 0),
    "nothing": ("", 0),
    "failed": ("Requests/sec:   1234.50", 1),
}


@pytest.fixture
def calls() -> list[WireCall]:
    headers = (("Content-Type", "application/json"), ("Authorization", "Bearer a"))
    return [
        WireCall("REST", "http://127.0.0.1:1/predict", "", headers, body)
        for body in (b'{"word": "\\u00e9\\n"}', '{"word": "é \\\\"}'.encode())
    ]


def fake_wrk(folder: Path, said: str) -> str:
    words, code = SAID[said]
    program = folder / "wrk"
    program.write_text(
        f"#!/bin/sh\nprintf '{words}\\n'\necho \"$@\" > {folder}/asked\nexit {code}\n"
    )
    program.chmod(0o755)
    return str(program)


def test_wrk_s_rate_is_read(tmp_path: Path, calls: list[WireCall]) -> None:
    assert loadgen.run_wrk(fake_wrk(tmp_path, "right"), calls, 2.0, tmp_path) == 1234.5
    asked = (tmp_path / "asked").read_text().split()
    assert f"-c{loadgen.CLIENTS}" in asked
    assert "-d2s" in asked
    assert asked[-1] == calls[0].target


@pytest.mark.parametrize("said", [name for name in SAID if name != "right"])
def test_a_rate_of_requests_that_failed_is_none(
    tmp_path: Path, calls: list[WireCall], said: str
) -> None:
    with pytest.raises(TwinServeError, match="wrk failed"):
        loadgen.run_wrk(fake_wrk(tmp_path, said), calls, 2.0, tmp_path)


def test_wrk_sends_the_same_bytes(calls: list[WireCall]) -> None:
    script = loadgen.lua_script(calls)
    for call in calls:
        # Quotes and backslashes once more for Lua, which takes them off again; other letters as they are.
        body = call.body.decode().replace("\\", "\\\\").replace('"', '\\"')
        assert f'"{body}"' in script
    assert 'wrk.headers["Authorization"] = "Bearer a"' in script


def test_without_wrk_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ProgramMissing) as missing:
        loadgen.find_wrk()
    assert "apt-get install wrk" in missing.value.hint


@pytest.mark.parametrize(
    ("ratios", "fast"),
    [((1.0, 1.09, 3.0), True), ((1.0, 1.11, 1.2), False), ((0.5, 0.6, 0.7), True)],
)
def test_the_median_of_the_pairs_decides(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    ratios: tuple[float, ...],
    fast: bool,
) -> None:
    pairs = [loadgen.Pair(100 * ratio, 100) for ratio in ratios]
    monkeypatch.setattr(loadgen, "compare", lambda *_: pairs)
    monkeypatch.setattr(loadgen, "write_rows", lambda *_: "")
    monkeypatch.setattr(loadgen, "LoadedEndpoint", lambda *_: None)
    space: Any = SimpleNamespace(
        case=SimpleNamespace(name="x", contract=None, tolerances=SimpleNamespace(float32=None))
    )
    endpoint: Any = SimpleNamespace(title="REST", server="tfserving")
    asked = argparse.Namespace(seconds=1.0, rounds=3, wrk="wrk")
    assert loadgen._bench(space, SimpleNamespace(), endpoint, asked) is fast  # type: ignore[arg-type]
    assert ("THE BOTTLENECK" in capsys.readouterr().out) is not fast
