"""Looks into the models' base paths every so often and says which versions are to be served.

TF Serving's ``sources/storage_path/file_system_storage_path_source.cc``. Two things differ for the
better. There, one base path that is gone holds up the looking at all; here only its own model waits.
And there, a changed configuration waits for the next look, and with
``--file_system_poll_wait_seconds=0`` for ever; here it is looked at once.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from serving.tfserving.embedded.options.configuration import ModelSetup
from serving.tfserving.embedded.status import StatusError
from serving.tfserving.embedded.versions.base_path import no_versions, versions_to_serve

log = logging.getLogger(__name__)

Aspire = Callable[[str, Mapping[int, Path]], None]
"""Told of a model's name and the versions that are to be served."""


class Folders:
    """The base paths of all models. Safe to use from several threads.

    Args:
        aspire: called after each look, for each model whose base path is there.
    """

    def __init__(self, aspire: Aspire) -> None:
        self._aspire = aspire
        self._lock = threading.Lock()
        self._setups: dict[str, ModelSetup] = {}
        self._said: dict[str, str] = {}
        self._stopping = threading.Event()

    @property
    def names(self) -> frozenset[str]:
        """Of the models that are looked after; takes no lock, so that a wait may ask within one."""
        return frozenset(self._setups)

    def update(self, setups: Sequence[ModelSetup]) -> None:
        """From now on these models are looked after; looks at once.

        Of a model that is no longer among them nothing is to be served.
        """
        with self._lock:
            gone = self._setups.keys() - {each.name for each in setups}
            self._setups = {each.name: each for each in setups}
            for name in sorted(gone):
                self._said.pop(name, None)
                self._aspire(name, {})
        self.look()

    def look(self) -> None:
        """Look into all base paths."""
        with self._lock:
            for setup in self._setups.values():
                self._look_at(setup)

    def missing(self, names: Collection[str]) -> list[str]:
        """What is said of those of these models that the last look found nothing for."""
        with self._lock:
            said = {name: self._said.get(name) for name in names}
            return [message for _, message in sorted(said.items()) if message]

    def watch(self, interval_seconds: float) -> None:
        """Look every so often, on a thread of its own, until ``stop``."""

        def watch() -> None:
            while not self._stopping.wait(interval_seconds):
                try:
                    self.look()
                except Exception:  # a fault in here must not end the looking
                    log.exception("Looking for versions failed")

        threading.Thread(target=watch, name="folders", daemon=True).start()

    def stop(self) -> None:
        self._stopping.set()

    def _look_at(self, setup: ModelSetup) -> None:
        try:
            wanted = versions_to_serve(setup.name, setup.base_path, setup.policy)
        except StatusError as error:
            self._say_once(
                setup.name,
                logging.ERROR,
                f"FileSystemStoragePathSource encountered a filesystem access error: {error.message}",
            )
            return
        nothing = no_versions(setup.name, setup.base_path) if not wanted else ""
        self._say_once(setup.name, logging.WARNING, nothing)
        self._aspire(setup.name, wanted)

    def _say_once(self, name: str, level: int, message: str) -> None:
        """Not again with every look."""
        if message and message != self._said.get(name):
            log.log(level, "%s", message)
        self._said[name] = message
