"""The versions that can be asked, by model, label and number; and the states of all ever seen.

The words of every refusal are those of TF Serving's ``server_core.cc``, ``basic_manager.cc`` and
``get_model_status_impl.cc``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from types import TracebackType
from typing import TYPE_CHECKING

from serving.tfserving.embedded.status import StatusError, invalid, not_found

if TYPE_CHECKING:  # which versions there are can be thought about without TensorFlow
    from serving.tfserving.embedded.graph.saved_model import Servable

Labels = Mapping[str, Mapping[str, int]]
"""Version by label, by model."""

LOOK_SECONDS = 0.2
"""How often a wait looks whether it is still wanted."""


class State(IntEnum):
    """``ModelVersionStatus.State`` in ``get_model_status.proto``."""

    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


@dataclass(frozen=True)
class VersionState:
    """Where a version stands in its life.

    Attributes:
        version: its number.
        state: how far it has come.
        error: why it ended, where that was an error.
        event: grows with every change of any version; tells news from what was known before.
    """

    version: int
    state: State
    error: StatusError | None = None
    event: int = 0


@dataclass(frozen=True)
class Address:
    """Which model a request is for.

    Attributes:
        name: the model's.
        version: its number; None for the newest.
        label: a name for a version; None where there is none.
    """

    name: str
    version: int | None = None
    label: str | None = None

    def __str__(self) -> str:
        if self.version is None:
            return f"Latest({self.name})"
        return f"Specific({self.name}, {self.version})"


@dataclass(eq=False)
class _Place:
    """A version that can be asked, how many requests are at work on it, and whether it is leaving."""

    servable: Servable
    users: int = 0
    is_leaving: bool = False


@dataclass(eq=False)
class _Model:
    places: dict[int, _Place] = field(default_factory=dict)
    newest: _Place | None = None
    states: dict[int, VersionState] = field(default_factory=dict)

    def find_newest(self) -> None:
        self.newest = self.places[max(self.places)] if self.places else None


class Use:
    """A version that a request holds: the value of a ``with`` statement, at whose end it is let go."""

    __slots__ = ("_models", "_place")

    def __init__(self, models: Models, place: _Place) -> None:
        self._models = models
        self._place = place

    def __enter__(self) -> Servable:
        return self._place.servable

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._models._leave(self._place)


class Models:
    """What is served. Safe to use from several threads."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._models: dict[str, _Model] = {}
        self._labels: Labels = {}
        self._event = 0

    def use(self, address: Address) -> Use:
        """The version that a request is for, for a ``with`` statement: it is not unloaded before its end.

        Raises:
            StatusError: there is none.
        """
        if not address.name:
            raise invalid("ModelSpec has no name specified.")
        if address.label is not None:
            address = Address(address.name, self._version_of(address.name, address.label))
        with self._changed:
            place = self._find(address)
            if place is None:
                raise not_found(f"Servable not found for request: {address}")
            place.users += 1
            return Use(self, place)

    def states(self, address: Address) -> list[VersionState]:
        """The states of one version or, where none is named, of all, the highest first.

        A version stays in the list after its end, and a label does not count, as in TF Serving.

        Raises:
            StatusError: no such model or version.
        """
        known = self.all_states(address.name)
        if address.version is not None:
            if address.version not in known:
                raise not_found(f"Could not find version {address.version} of model {address.name}")
            return [known[address.version]]
        if not known:
            raise not_found(f"Could not find any versions of model {address.name}")
        return [known[version] for version in sorted(known, reverse=True)]

    def all_states(self, name: str) -> dict[int, VersionState]:
        """The states of a model's versions; empty where none was ever seen."""
        with self._changed:
            return dict(self._models[name].states) if name in self._models else {}

    @property
    def labels(self) -> Labels:
        return self._labels

    def set_labels(self, labels: Labels) -> None:
        """From now on these labels are known, and no others."""
        self._labels = labels

    @property
    def last_event(self) -> int:
        """The number of the last change; see ``wait_reached``."""
        with self._changed:
            return self._event

    def wait_reached(
        self, names: Callable[[], Collection[str]], after: int, is_over: Callable[[], bool]
    ) -> dict[str, VersionState]:
        """Wait until of each model a version became AVAILABLE or came to its END.

        Args:
            names: of the models; asked again and again.
            after: only changes after this one count; see ``last_event``.
            is_over: whether to wait no more; asked again and again.

        Returns:
            the highest such version of each model that has one; of all where it is not over.
        """
        with self._changed:
            while True:
                awaited = names()
                found = {name: self._reached(name, after) for name in awaited}
                reached = {name: state for name, state in found.items() if state is not None}
                if len(reached) == len(awaited) or is_over():
                    return reached
                self._changed.wait(LOOK_SECONDS)

    def report(
        self, name: str, version: int, state: State, error: StatusError | None = None
    ) -> None:
        """Note where a version stands now."""
        with self._changed:
            self._note(name, version, state, error)

    def offer(self, servable: Servable) -> None:
        """From now on requests can ask this version; the highest answers those that name none."""
        with self._changed:
            model = self._models.setdefault(servable.name, _Model())
            model.places[servable.version] = _Place(servable)
            model.find_newest()
            self._note(servable.name, servable.version, State.AVAILABLE)

    def withdraw(self, name: str, version: int, timeout_seconds: float) -> Servable | None:
        """Let no new request in, and wait until those in progress are finished.

        Args:
            name: the model's.
            version: one that was offered.
            timeout_seconds: longest wait.

        Returns:
            what served it, to be closed; None where a request is still at work on it.
        """
        with self._changed:
            model = self._models[name]
            place = model.places.pop(version)
            model.find_newest()
            place.is_leaving = True
            self._note(name, version, State.UNLOADING)
            unused = self._changed.wait_for(lambda: not place.users, timeout_seconds)
            return place.servable if unused else None

    def close(self) -> None:
        """Close what is served; no request may be in progress."""
        with self._changed:
            for model in self._models.values():
                for place in model.places.values():
                    place.servable.close()
                model.places.clear()
                model.newest = None

    def _note(
        self, name: str, version: int, state: State, error: StatusError | None = None
    ) -> None:
        self._event += 1
        states = self._models.setdefault(name, _Model()).states
        states[version] = VersionState(version, state, error, self._event)
        self._changed.notify_all()

    def _reached(self, name: str, after: int) -> VersionState | None:
        states = self._models[name].states if name in self._models else {}
        for version in sorted(states, reverse=True):
            found = states[version]
            if found.event > after and found.state in (State.AVAILABLE, State.END):
                return found
        return None

    def _leave(self, place: _Place) -> None:
        with self._changed:
            place.users -= 1
            if place.is_leaving:
                self._changed.notify_all()

    def _version_of(self, name: str, label: str) -> int:
        version = self._labels.get(name, {}).get(label)
        if version is None:
            raise invalid(f"Unrecognized servable version label: {label}")
        return version

    def _find(self, address: Address) -> _Place | None:
        model = self._models.get(address.name)
        if model is None or address.version is None:
            return None if model is None else model.newest
        return model.places.get(address.version)
