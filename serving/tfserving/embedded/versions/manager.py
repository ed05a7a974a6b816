"""Loads and unloads versions, so that those that are to be served are.

The steps are those of TF Serving's ``core/aspired_versions_manager.cc``, ``basic_manager.cc`` and
``loader_harness.cc``:

* A new version is loaded while the old one answers. Once it can be asked, it answers every request
  that names no version, and the old one is unloaded when its last request is finished.
* A version that cannot be loaded is tried again, then ends with its error; the old one stays. It is
  not tried again under its number until another version was served in between, or after a restart.
* What is to be served may be told at any time; a version that is wanted again while it is still
  being let go is loaded afresh once it is gone.

Three things differ for the better. TF Serving goes on trying a broken version to the end where it
has no threads for loading; here that stops when nobody wants it any more. Waiting for the next
attempt keeps no other version from being loaded. And TF Serving looks again after 0.1 s between two
steps; here they follow one another.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from grpc import StatusCode

from serving.tfserving.embedded.status import StatusError
from serving.tfserving.embedded.versions.models import Models, State
from serving.tfserving.embedded.versions.policy import Stage, Verb, Version, next_action

if TYPE_CHECKING:
    from serving.tfserving.embedded.graph.saved_model import Servable

log = logging.getLogger(__name__)

DRAIN_SECONDS = 60.0
"""Longest wait for the requests of a version that is unloaded; twice what REST gives a request."""

IDLE_SECONDS = 3600.0
"""A look without a reason, for a wait must end."""

Load = Callable[[str, int, Path], "Servable"]
"""Makes a version of a model answer, from its folder; raises a StatusError."""


@dataclass(frozen=True)
class Retries:
    """What happens after a version could not be loaded.

    Attributes:
        most: how often it is tried again.
        wait_seconds: before each of those.
    """

    most: int
    wait_seconds: float


@dataclass(eq=False)
class Managed(Version):
    """A version, and what became of the attempts to load it.

    Attributes:
        name: the model's.
        attempts: how many failed.
        error: of the last of them.
        due: when it is tried again, as ``time.monotonic`` counts.
    """

    name: str = ""
    attempts: int = 0
    error: StatusError | None = None
    due: float = 0.0

    def __str__(self) -> str:
        return f"{{name: {self.name} version: {self.number}}}"


class VersionManager:
    """Looks after the versions of all models. Safe to use from several threads.

    Args:
        models: told of every step.
        load: makes a version's folder answer, or raises a StatusError.
        retries: after a failed load.
        unload_threads: versions that are unloaded at a time.
    """

    def __init__(
        self, models: Models, load: Load, retries: Retries, unload_threads: int = 1
    ) -> None:
        self._models = models
        self._load_once = load
        self._retries = retries
        self._most = {Verb.LOAD: 1, Verb.UNLOAD: max(unload_threads, 1)}
        self._at_work: Counter[Verb] = Counter()
        self._known: dict[str, dict[int, Managed]] = {}
        self._pending: dict[str, Mapping[int, Path]] = {}
        self._changed = threading.Condition()
        self._has_news = False
        self._is_stopping = False

    def start(self) -> None:
        threading.Thread(target=self._work, name="versions", daemon=True).start()

    def set_load_threads(self, number: int) -> None:
        """How many versions may be loaded at a time, of all models; at least one."""
        with self._changed:
            self._most[Verb.LOAD] = max(number, 1)
            self._notify()

    def aspire(self, name: str, wanted: Mapping[int, Path]) -> None:
        """Of this model these versions are to be served, and no others."""
        with self._changed:
            self._pending[name] = wanted
            self._notify()

    def stop(self, timeout_seconds: float) -> bool:
        """Begin nothing more; whether all that was begun has ended within the time."""
        with self._changed:
            self._is_stopping = True
            self._notify()
            return self._changed.wait_for(lambda: not self._at_work.total(), timeout_seconds)

    def _notify(self) -> None:
        self._has_news = True
        self._changed.notify_all()

    def _work(self) -> None:
        with self._changed:
            while not self._is_stopping:
                self._has_news = False
                try:
                    self._settle()
                except Exception:  # a fault in here must not end the looking after
                    log.exception("Looking after the versions failed")
                self._changed.wait_for(lambda: self._has_news, self._seconds_to_next_attempt())

    def _settle(self) -> None:
        """Begin all that can be begun now."""
        for name, versions in self._known.items():
            self._end_waiting(name)
            self._forget_the_ended(versions)
        for name in list(self._pending):
            self._take_pending(name)
        self._known = {name: versions for name, versions in self._known.items() if versions}
        for versions in self._known.values():
            while self._take_next_step(versions):
                pass

    def _end_waiting(self, name: str) -> None:
        """A failed version is new again when its time has come, and at its end when it is outdated.

        What is pending counts here: it may itself have to wait for this.
        """
        pending = self._pending.get(name)
        for version in self._known[name].values():
            if version.stage is not Stage.WAITING:
                continue
            if not version.is_aspired or (pending is not None and version.number not in pending):
                log.info("Retrying of Loading servable: %s was cancelled.", version)
                self._end(version, Stage.ERROR, version.error)
            elif time.monotonic() >= version.due:
                log.info("Retrying of Loading servable: %s retry: %d", version, version.attempts)
                version.stage = Stage.NEW

    def _forget_the_ended(self, versions: dict[int, Managed]) -> None:
        ended = (Stage.NEW, Stage.DISABLED, Stage.ERROR)
        for number, version in list(versions.items()):
            if version.stage in ended and not version.is_aspired:
                del versions[number]

    def _take_pending(self, name: str) -> None:
        """What was told becomes what is wanted.

        Not while a version that is wanted again is still there from before: it must be gone first.
        """
        wanted, known = self._pending[name], self._known.setdefault(name, {})
        for version in known.values():
            if not version.is_aspired and version.number in wanted:
                return
        for version in known.values():
            version.is_aspired = version.number in wanted
        for number in sorted(wanted.keys() - known.keys()):
            known[number] = Managed(number, wanted[number], name=name)
            self._models.report(name, number, State.START)
        del self._pending[name]

    def _take_next_step(self, versions: Mapping[int, Managed]) -> bool:
        """Begin one thing for a model; whether there may be another."""
        action = next_action(versions.values())
        if action is None or self._at_work[action.verb] >= self._most[action.verb]:
            return False
        version = versions[action.version.number]
        version.stage = Stage.BUSY
        self._at_work[action.verb] += 1
        target = {Verb.LOAD: self._load, Verb.UNLOAD: self._unload}[action.verb]
        name = f"{action.verb.value} {version}"
        threading.Thread(target=target, args=(version,), name=name, daemon=True).start()
        return True

    def _load(self, version: Managed) -> None:
        """On a thread of its own."""
        log.info("Loading servable version %s", version)
        self._models.report(version.name, version.number, State.LOADING)
        try:
            servable = self._load_once(version.name, version.number, version.folder)
        except StatusError as error:
            log.error("Loading servable: %s failed: %s", version, error)
            with self._changed:
                self._failed(version, error)
                self._done(Verb.LOAD)
            return
        if not self._is_taken(version, servable):
            _close(version, servable)

    def _is_taken(self, version: Managed, servable: Servable) -> bool:
        """Offer what was loaded; False where nobody wants it any more."""
        with self._changed:
            if version.is_aspired:
                version.stage = Stage.READY
                self._models.offer(servable)
                log.info("Successfully loaded servable version %s", version)
            else:
                cancelled = StatusError(StatusCode.CANCELLED, "Loading of servable cancelled")
                self._end(version, Stage.ERROR, cancelled)
            self._done(Verb.LOAD)
            return version.is_aspired

    def _failed(self, version: Managed, error: StatusError) -> None:
        version.attempts += 1
        version.error = error
        if version.is_aspired and version.attempts <= self._retries.most:
            version.stage = Stage.WAITING
            version.due = time.monotonic() + self._retries.wait_seconds
            return
        self._end(version, Stage.ERROR, error)
        log.error("Servable %s cannot be loaded: %s", version, error)

    def _unload(self, version: Managed) -> None:
        """On a thread of its own."""
        log.info("Quiescing servable version %s", version)
        servable = self._models.withdraw(version.name, version.number, DRAIN_SECONDS)
        if servable is None:  # not closed under a request; it goes when that lets go of it
            log.warning("Requests still work on servable version %s", version)
        else:
            _close(version, servable)
        with self._changed:
            self._end(version, Stage.DISABLED)
            log.info("Done unloading servable version %s", version)
            self._done(Verb.UNLOAD)

    def _end(self, version: Managed, stage: Stage, error: StatusError | None = None) -> None:
        version.stage = stage
        self._models.report(version.name, version.number, State.END, error)

    def _done(self, verb: Verb) -> None:
        self._at_work[verb] -= 1
        self._notify()

    def _seconds_to_next_attempt(self) -> float:
        dues = [
            version.due
            for versions in self._known.values()
            for version in versions.values()
            if version.stage is Stage.WAITING
        ]
        return max(min(dues) - time.monotonic(), 0.0) if dues else IDLE_SECONDS


def _close(version: Managed, servable: Servable) -> None:
    try:
        servable.close()
    except Exception:  # it is gone for all others; what is left to do must still be done
        log.exception("Servable version %s cannot be closed", version)
