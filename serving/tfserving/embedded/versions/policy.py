"""What to do next with the versions of a model: load one, unload one, or nothing.

TF Serving's ``core/availability_preserving_policy.cc``: a version that is no longer wanted answers
until one that is wanted can.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path


class Stage(Enum):
    """Where a version stands for the policy; ``LoaderHarness::State`` with fewer steps in between.

    BUSY is being loaded or unloaded; WAITING could not be loaded and will be tried again.
    """

    NEW = "new"
    BUSY = "busy"
    WAITING = "waiting"
    READY = "ready"
    DISABLED = "disabled"
    ERROR = "error"


@dataclass(eq=False)
class Version:
    """One version while it is looked after.

    Attributes:
        number: its number.
        folder: where it is loaded from.
        stage: how far it has come.
        is_aspired: whether it is to be served.
    """

    number: int
    folder: Path
    stage: Stage = Stage.NEW
    is_aspired: bool = True


class Verb(Enum):
    """What can be done with a version."""

    LOAD = "load"
    UNLOAD = "unload"


@dataclass(frozen=True)
class Action:
    """The next step."""

    verb: Verb
    version: Version


def next_action(versions: Iterable[Version]) -> Action | None:
    """The next step for one model's versions; None where all is as it should be."""
    known = list(versions)
    aspired = [each for each in known if each.is_aspired]
    outdated = [each for each in known if not each.is_aspired and each.stage is Stage.READY]
    replaced = not aspired or any(each.stage is Stage.READY for each in aspired)
    if outdated and (replaced or len(outdated) > 1):
        return Action(Verb.UNLOAD, min(outdated, key=_number))
    new = [each for each in aspired if each.stage is Stage.NEW]
    return Action(Verb.LOAD, max(new, key=_number)) if new else None


def _number(version: Version) -> int:
    return version.number
