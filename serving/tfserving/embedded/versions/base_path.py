"""The folder that holds a folder per version, and which of them are to be served.

Rules and words: TF Serving's ``sources/storage_path/file_system_storage_path_source.cc``.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from grpc import StatusCode

from serving.tfserving.embedded.status import StatusError, invalid

log = logging.getLogger(__name__)

_NUMBER = re.compile(r"\s*[+-]?[0-9]+\s*", re.ASCII)
_URI = re.compile(r"([a-zA-Z][0-9a-zA-Z.]*)://(.*)", re.DOTALL)


class Choice(Enum):
    """The three policies of ``ServableVersionPolicy``."""

    LATEST = "latest"
    ALL = "all"
    SPECIFIC = "specific"


@dataclass(frozen=True)
class VersionPolicy:
    """Which of the versions that are there are to be served.

    Attributes:
        choice: the newest, all, or those that are named.
        count: how many of the newest.
        numbers: those that are named.
    """

    choice: Choice = Choice.LATEST
    count: int = 1
    numbers: frozenset[int] = frozenset()


LATEST = VersionPolicy()
"""TF Serving's policy unless told otherwise: the newest one."""


def is_relative(uri: str) -> bool:
    """Whether a base path is neither absolute nor an address as ``gs://bucket/folder``."""
    return _URI.fullmatch(uri) is None and not uri.startswith("/")


def versions_to_serve(name: str, base_path: str, policy: VersionPolicy) -> Mapping[int, Path]:
    """The folders that a model's policy asks for, by number; empty where there is none.

    Whatever has a number for a name counts, a file too, as in TF Serving.

    Raises:
        StatusError: the base path is not there or cannot be read. Then nothing is known of what is
            to be served, and what is served stays.
    """
    folder = _local(name, base_path)
    if not folder.exists():
        raise _no_base_path(name, base_path, f"NOT_FOUND: {base_path} not found")
    if policy.choice is Choice.SPECIFIC:
        named = {number: folder / str(number) for number in policy.numbers}
        if all(path.exists() for path in named.values()):
            return named  # without a look at the folder, which may be large
    try:
        children = sorted(each.name for each in folder.iterdir())
    except OSError as error:
        code = StatusCode.NOT_FOUND if isinstance(error, FileNotFoundError) else StatusCode.UNKNOWN
        raise StatusError(code, f"{base_path}; {error.strerror}") from error
    return _chosen(name, _numbered(folder, children, policy.choice), policy)


def no_versions(name: str, base_path: str) -> str:
    """What TF Serving says of a base path without versions that are to be served."""
    return (
        f"No versions of servable {name} found under base path {base_path}. "
        "Did you forget to name your leaf directory as a number (eg. '/1/')?"
    )


def _chosen(name: str, found: Mapping[int, Path], policy: VersionPolicy) -> Mapping[int, Path]:
    if policy.choice is Choice.ALL:
        return found
    if policy.choice is Choice.LATEST:
        newest = sorted(found, reverse=True)[: max(policy.count, 1)]
        return {number: found[number] for number in newest}
    return {number: found[number] for number in policy.numbers if number in found}


def _numbered(folder: Path, children: list[str], choice: Choice) -> Mapping[int, Path]:
    """Of ``1`` and ``01`` the policy "all" serves the first in the order of names, the others the
    last.
    """
    found: dict[int, Path] = {}
    for child in children:
        number = _parse(child)
        if number is not None and not (choice is Choice.ALL and number in found):
            found[number] = folder / child
    return found


def _parse(name: str) -> int | None:
    """The number as ``absl::SimpleAtoi`` reads it: 64 bits, a sign and blanks may be there."""
    if not _NUMBER.fullmatch(name) or not -(2**63) <= int(name) < 2**63:
        return None
    return int(name)


def _local(name: str, base_path: str) -> Path:
    """The path on this machine; TensorFlow's wheel, too, brings no other file system along."""
    uri = _URI.fullmatch(base_path)
    if uri is None:
        return Path(base_path)
    if uri[1] != "file":
        raise _no_base_path(
            name,
            base_path,
            f"UNIMPLEMENTED: File system scheme '{uri[1]}' not implemented (file: '{base_path}')",
        )
    return Path("/" + uri[2].partition("/")[2])


def _no_base_path(name: str, base_path: str, why: str) -> StatusError:
    return invalid(f"Could not find base path {base_path} for servable {name} with error {why}")
