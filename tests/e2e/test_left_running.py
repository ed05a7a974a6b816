"""``serve`` leaves both servers running with lines to paste, ``query`` asks both, ``stop`` ends exactly those."""

from __future__ import annotations

import json
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.servers]

FRAMEWORK = {"tfserving": "tensorflow", "torchserve": "pytorch"}


@pytest.fixture(scope="module")
def served(finished: Any, lasting_place: Callable[..., Any]) -> tuple[Any, Any]:
    """A place where ``serve`` has left both servers running, and what it said."""
    place = lasting_place(finished)
    return place, place.run("serve").succeeded()


def reference(place: Any, server: str) -> np.ndarray:
    """The model's own answer to row 0 of the test split, in the memory that trained it."""
    version = place.artifacts / "digits" / "1"
    training = json.loads((version / "manifest.json").read_text())["training"]
    folder = place.artifacts / "digits" / "training" / training[FRAMEWORK[server]]
    with np.load(folder / "reference.npz") as stored:
        row: np.ndarray = stored["test/logits"][0]
        return row


def lines(done: Any, program: str, server: str) -> list[str]:
    """The lines to paste; each names a file below its server's folder."""
    return [
        line
        for line in done.text.splitlines()
        if line.startswith(f"{program} ") and f"/{server}/" in line
    ]


def secrets(place: Any) -> list[str]:
    keys = [json.loads(path.read_text()) for path in place.state.rglob("key_file.json")]
    return [entry["key"] for each in keys for entry in each.values()]


def test_serve_says_where_both_are(served: tuple[Any, Any]) -> None:
    place, done = served
    running = {server.name: server for server in place.servers()}
    assert set(running) == {"tfserving", "torchserve"}
    for server in running.values():
        assert server.host == "127.0.0.1"
        for purpose in ("rest", "grpc"):
            done.said(f"{server.host}:{server.ports[purpose]}")
    done.said("digits, version 1", "make query", "make stop")


@pytest.mark.parametrize("server", FRAMEWORK)
def test_the_curl_line_gets_the_models_own_answer(served: tuple[Any, Any], server: str) -> None:
    if shutil.which("curl") is None:
        pytest.skip("no `curl` on the PATH")
    place, done = served
    (line,) = lines(done, "curl", server)
    pasted = subprocess.run(
        ["bash", "-c", line], capture_output=True, text=True, check=True, cwd="/"
    )
    (answer,) = json.loads(pasted.stdout)["predictions"]
    wanted = reference(place, server)
    assert np.allclose(answer["logits"], wanted, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("server", FRAMEWORK)
def test_the_grpcurl_line_gets_an_answer(served: tuple[Any, Any], server: str) -> None:
    if shutil.which("grpcurl") is None:
        pytest.skip("no `grpcurl` on the PATH")
    _, done = served
    (line,) = lines(done, "grpcurl", server)
    pasted = subprocess.run(
        ["bash", "-c", line], capture_output=True, text=True, check=True, cwd="/"
    )
    assert json.loads(pasted.stdout)


@pytest.mark.parametrize("server", FRAMEWORK)
def test_the_grpcurl_line_names_files_that_are_there(served: tuple[Any, Any], server: str) -> None:
    _, done = served
    (line,) = lines(done, "grpcurl", server)
    words = line.split()
    folder = Path(words[words.index("-import-path") + 1])
    assert (folder / words[words.index("-proto") + 1]).is_file()
    assert Path(words[-1]).is_file()


def test_the_token_is_in_no_output_and_no_list_of_processes(served: tuple[Any, Any]) -> None:
    place, done = served
    said = done.text + place.run("query").text
    commands = [" ".join(process.cmdline()) for process in place.processes()]
    assert len(secrets(place)) == 3
    for secret in secrets(place):
        assert secret not in said
        assert not any(secret in command for command in commands)


def test_files_with_the_token_are_their_owners_only(served: tuple[Any, Any]) -> None:
    place, _ = served
    tokens = secrets(place)
    holding = [
        path
        for path in place.state.rglob("*")
        if path.is_file() and any(key in path.read_text(errors="replace") for key in tokens)
    ]
    assert {path.name for path in holding} >= {"key_file.json", "inference.header"}
    for path in holding:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_query_shows_both_answers_side_by_side(served: tuple[Any, Any]) -> None:
    place, _ = served
    done = place.run("query", "--row", "5").succeeded()
    rows = [line.split() for line in done.text.splitlines() if "·" in line]
    assert len(rows) == 4
    label = done.text.partition("its label is ")[2][0]
    assert all(label in row for row in rows)


def test_query_names_the_rows_that_there_are(served: tuple[Any, Any]) -> None:
    place, _ = served
    place.run("query", "--row", "100000").failed_with("SettingsError", "0 to 359", "100000")


def test_another_run_leaves_them_alone(served: tuple[Any, Any]) -> None:
    place, _ = served
    before = {server.pid for server in place.servers()}
    place.run("check").succeeded()
    assert {server.pid for server in place.servers()} == before


def test_a_second_serve_points_to_the_first(served: tuple[Any, Any]) -> None:
    place, _ = served
    before = {server.pid for server in place.servers()}
    place.run("serve").failed_with("AlreadyServing", "Version 1", "make query", "make stop")
    assert {server.pid for server in place.servers()} == before


def test_stop_ends_exactly_those(served: tuple[Any, Any]) -> None:
    place, _ = served
    # A stranger that has the process id of a record, as ids are given out again.
    stranger = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    records = place.state / "servers"
    stale = json.loads(next(records.glob("*.json")).read_text()) | {"pid": stranger.pid}
    (records / f"{stale['name']}-{stranger.pid}.json").write_text(json.dumps(stale))
    try:
        done = place.run("stop").succeeded()
        assert done.text.count("Stopped ") == 2
        assert stranger.poll() is None
    finally:
        stranger.communicate(b"\n")
    place.wait_for_quiet()
    assert not any(records.glob("*.json"))


def test_without_servers_query_says_how_to_start_them(copied: Any) -> None:
    copied.run("query").failed_with("ServerDied", "No server of 'digits' is running", "make serve")


def test_without_servers_stop_has_nothing_to_do(empty: Any) -> None:
    empty.run("stop").succeeded().said("Nothing of ours was running")
