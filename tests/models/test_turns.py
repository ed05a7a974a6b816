"""Processes that take turns: strictly one after the other, and nobody waits for one that has gone."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from models.errors import WorkerError
from models.turns import Turns

NAMES = ("first", "second", "third")


def test_rounds_are_taken_in_the_order_of_the_names(tmp_path: Path):
    seen: list[tuple[str, int]] = []

    def take(name: str) -> None:
        turns = Turns(tmp_path, NAMES, name, timeout_seconds=20)
        turns.ready()
        for number in range(4):
            turns.wait(number)
            seen.append((name, number))
            turns.done(number)

    # Started in the opposite order: who comes first is not who begins.
    threads = [threading.Thread(target=take, args=(name,)) for name in reversed(NAMES)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [(name, number) for number in range(4) for name in NAMES]


def test_the_first_does_not_begin_before_the_others_are_ready(tmp_path: Path):
    Turns(tmp_path, NAMES, "second").ready()
    first = Turns(tmp_path, NAMES, "first", timeout_seconds=0)
    with pytest.raises(WorkerError, match="third did not take its turn"):
        first.wait(0)
    Turns(tmp_path, NAMES, "third").ready()
    first.wait(0)


def test_nobody_waits_for_one_that_has_ended(tmp_path: Path):
    Turns(tmp_path, NAMES, "first").end()
    Turns(tmp_path, NAMES, "third").end()
    turns = Turns(tmp_path, NAMES, "second", timeout_seconds=0)
    for number in range(3):
        turns.wait(number)
        turns.done(number)


def test_a_turn_that_never_comes_is_an_error(tmp_path: Path):
    with pytest.raises(WorkerError, match="first did not take its turn within 0 s"):
        Turns(tmp_path, NAMES, "second", timeout_seconds=0).wait(0)
