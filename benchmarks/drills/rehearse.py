"""Which drills there are, and how a number of them is run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from benchmarks.drills import at_start, crashes, versions
from benchmarks.drills.facts import DrillFacts
from benchmarks.drills.stage import Stage
from models.errors import TwinServeError

Drill = Callable[[Stage], DrillFacts]
Say = Callable[[str], None]

DRILLS: dict[str, Drill] = {
    # On a command, with nothing else running.
    "port-taken": at_start.take_port,
    "image-missing": at_start.name_missing_image,
    "oom": at_start.kill_for_memory,
    "engine-away": at_start.cut_engine,
    # On the pair, from what disturbs it least.
    "push-tfserving": versions.push_damaged_saved_model,
    "push-torchserve": versions.push_damaged_archives,
    "deploy-damaged": versions.deploy_damaged,
    "keys-exchanged": versions.exchange_keys,
    "key-expired": versions.let_key_expire,
    "pause-tfserving": partial(crashes.pause_server, name="tfserving"),
    "pause-torchserve": partial(crashes.pause_server, name="torchserve"),
    "kill-worker": crashes.kill_worker,
    "kill-tfserving": partial(crashes.kill_server, name="tfserving"),
    "kill-torchserve": partial(crashes.kill_server, name="torchserve"),
    "stop": crashes.stop_pair,
}
"""By name, in the order in which they are run."""


def rehearse(stage: Stage, names: Sequence[str], say: Say) -> list[DrillFacts]:
    """Run drills, each once.

    A drill that cannot be carried through is a finding, and the next one gets a new pair.

    Args:
        stage: where.
        names: of ``DRILLS``; the order is theirs.
        say: told what goes on.
    """
    found = []
    for name in (each for each in DRILLS if each in names):
        say(name)
        facts = _run(stage, name)
        say(f"  {'as it should' if facts.passed else '; '.join(complaints(facts))}")
        found.append(facts)
    return found


def complaints(facts: DrillFacts) -> list[str]:
    """What is wrong with what came of a drill; empty for one that passed."""
    wrong = [f"{facts.wrong} wrong answers"] if facts.wrong else []
    left = [f"left behind: {', '.join(facts.orphans)}"] if facts.orphans else []
    return [*facts.problems, *wrong, *left]


def _run(stage: Stage, name: str) -> DrillFacts:
    try:
        facts = DRILLS[name](stage)
    except TwinServeError as error:
        stage.end_pair()
        facts = DrillFacts(name, stage.both, done="", should="", seen=str(error))
        facts = replace(facts, problems=(f"{type(error).__name__}: {error.message}",))
    return replace(
        facts,
        seen=stage.plain(facts.seen),
        problems=tuple(stage.plain(each) for each in facts.problems),
    )
