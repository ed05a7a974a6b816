"""The names and versions that are served.

One model and its highest version for now; requests already go through names, versions and states,
so that more of each can come without a change elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from serving.tfserving.embedded.saved_model import Servable
from serving.tfserving.embedded.status import invalid, not_found


class State(IntEnum):
    """``ModelVersionStatus.State`` in ``get_model_status.proto``."""

    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


@dataclass(frozen=True)
class VersionState:
    """A version's number and where it stands in its life."""

    version: int
    state: State


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


class Models:
    """What is served, by name and version."""

    def __init__(self, servables: Mapping[str, Mapping[int, Servable]]) -> None:
        self._servables = servables
        self._latest = {name: versions[max(versions)] for name, versions in servables.items()}

    def find(self, address: Address) -> Servable:
        """The version that a request is for.

        Raises:
            StatusError: there is none; the words are those of ``server_core.cc`` and
                ``basic_manager.cc``.
        """
        if not address.name:
            raise invalid("ModelSpec has no name specified.")
        if address.label is not None:
            raise invalid(f"Unrecognized servable version label: {address.label}")
        if address.version is None:
            found = self._latest.get(address.name)
        else:
            found = self._servables.get(address.name, {}).get(address.version)
        if found is None:
            raise not_found(f"Servable not found for request: {address}")
        return found

    def states(self, address: Address) -> list[VersionState]:
        """The states of one version or, where none is named, of all.

        Raises:
            StatusError: no such model or version; the words are those of
                ``get_model_status_impl.cc``.
        """
        versions = self._servables.get(address.name, {})
        if address.version is not None:
            if address.version not in versions:
                raise not_found(f"Could not find version {address.version} of model {address.name}")
            return [VersionState(address.version, State.AVAILABLE)]
        if not versions:
            raise not_found(f"Could not find any versions of model {address.name}")
        return [
            VersionState(version, State.AVAILABLE) for version in sorted(versions, reverse=True)
        ]

    def close(self) -> None:
        for versions in self._servables.values():
            for servable in versions.values():
                servable.close()


def newest_version(base_path: Path) -> tuple[int, Path]:
    """The folder with the highest number for a name.

    Raises:
        StatusError: no base path, or no version in it.
    """
    if not base_path.is_dir():
        raise not_found(f"Could not find base path {base_path}")
    found = {int(each.name): each for each in base_path.iterdir() if _is_version(each)}
    if not found:
        raise not_found(
            f"No versions of servable found under base path {base_path}. "
            "Did you forget to name your leaf directory as a number (eg. '/1/')?"
        )
    newest = max(found)
    return newest, found[newest]


def _is_version(folder: Path) -> bool:
    return folder.name.isascii() and folder.name.isdigit() and folder.is_dir()
