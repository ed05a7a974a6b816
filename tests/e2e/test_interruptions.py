"""A run that is killed or stopped leaves nothing half-written and no process, and the next one goes on from there.

The tests share one place and pursue one goal, a second version with another learning rate: each run starts
from what the one before it left. Any of them also works alone.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.servers, pytest.mark.slow]

CHANGED = ("--learning-rate", "0.0015")
NEVER_AGAIN = ("digits/data", "digits/initial", "digits/1/[mpt]*")


@pytest.fixture(scope="module")
def shared(finished: Any, lasting_place: Callable[..., Any]) -> Any:
    """A copy of what is finished, and what may not change in it."""
    return lasting_place(finished)


@pytest.fixture
def place(shared: Any) -> Any:
    """The shared place; what a finished run made in it must never be made again."""
    kept = shared.made(*NEVER_AGAIN)
    yield shared
    shared.end_all()
    assert shared.made(*NEVER_AGAIN) == kept


def in_training(place: Any, run: Any) -> None:
    run.wait_until(lambda: "epoch" in run.text, "an epoch")


def in_export(place: Any, run: Any) -> None:
    exports = place.artifacts / "digits" / "exports"
    run.wait_until(lambda: any(exports.glob(".partial-*tensorflow*")), "a file half-written")


def while_servers_start(place: Any, run: Any) -> None:
    run.wait_until(lambda: len(place.servers()) == 2, "two processes of servers")


def with_both_servers_up(place: Any, run: Any) -> None:
    run.wait_until(lambda: run.text.count("answers correctly") == 2, "two servers that answer")


def while_measuring(place: Any, run: Any) -> None:
    run.wait_for("Measure:")


# ---- SIGKILL -------------------------------------------------------------------------------------------------


def test_workers_end_when_the_run_is_killed_in_training(place: Any) -> None:
    run = place.start("demo", *CHANGED)
    in_training(place, run)
    run.kill()
    place.wait_for_quiet()
    assert not (place.artifacts / "digits" / "2").exists()


@pytest.mark.parametrize(
    ("number", "moment"),
    [
        (signal.SIGINT, in_training),
        (signal.SIGTERM, in_export),
        (signal.SIGINT, while_servers_start),
        (signal.SIGINT, while_measuring),
    ],
    ids=lambda value: getattr(value, "name", None) or value.__name__,
)
def test_demo_stops_in_order(
    place: Any, number: signal.Signals, moment: Callable[[Any, Any], None]
) -> None:
    run = place.start("demo", *CHANGED)
    moment(place, run)
    stops_in_order(place, run, number)


def test_stop_ends_the_servers_of_a_killed_run(copied: Any) -> None:
    run = copied.start("measure")
    while_measuring(copied, run)
    run.kill()
    assert len(copied.servers()) == 2
    copied.run("stop").succeeded().said("Stopped TF Serving", "Stopped TorchServe")
    copied.wait_for_quiet()
    copied.run("stop").succeeded().said("Nothing of ours was running")


def test_the_next_run_ends_the_servers_of_a_killed_one_and_finishes_the_version(place: Any) -> None:
    run = place.start("demo", *CHANGED)
    with_both_servers_up(place, run)
    run.kill()
    orphans = {server.pid for server in place.servers()}
    trained = place.made("digits/training", "digits/exports", "digits/2/[mpt]*")
    place.run("demo", *CHANGED).succeeded().said("Both may ship")
    assert len(orphans) == 2
    assert place.made("digits/training", "digits/exports", "digits/2/[mpt]*") == trained
    place.wait_for_quiet()
    assert place.half_written() == []


def test_a_changed_hyperparameter_makes_a_second_version_from_the_same_data(place: Any) -> None:
    assert place.run("export", *CHANGED).code == 0
    homes = {path.name: path for path in (place.artifacts / "digits").iterdir()}
    assert {"1", "2"} <= set(homes)
    assert "3" not in homes
    assert len(list(homes["data"].glob("*"))) == 1
    assert len(list(homes["initial"].glob("*"))) == 2  # one a framework
    assert len(list(homes["training"].glob("*"))) == 4


# ---- subcommands, with the other signal ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "command", "moment"),
    [
        (signal.SIGTERM, "train --epochs 500", in_training),
        (signal.SIGINT, "export --fresh", in_export),
        (signal.SIGTERM, "serve", while_servers_start),
        (signal.SIGTERM, "check", with_both_servers_up),
        (signal.SIGTERM, "measure", while_measuring),
    ],
    ids=lambda value: getattr(value, "name", None) or getattr(value, "__name__", str(value)),
)
def test_a_stage_on_its_own_stops_in_order(
    copied: Any,
    number: signal.Signals,
    command: str,
    moment: Callable[[Any, Any], None],
) -> None:
    run = copied.start(*command.split())
    moment(copied, run)
    stops_in_order(copied, run, number)


def stops_in_order(place: Any, run: Any, number: signal.Signals) -> None:
    """A prompt end with the shell's exit code, one line that says so, and nothing left."""
    done = run.stop(number)
    assert done.code == 128 + number, done.text
    assert "Traceback" not in done.text, done.text
    assert done.text.count("The next run goes on from what is complete.") == 1
    assert place.half_written() == []
    place.wait_for_quiet()
