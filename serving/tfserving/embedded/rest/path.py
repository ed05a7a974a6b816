"""What a request's method and path ask for.

Patterns and words are those of TF Serving's ``model_servers/http_rest_api_util.cc``. A path is taken
as it came, percent signs and query included, as there: ``/v1/models/m?x`` asks for a model ``m?x``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote

from serving.tfserving.embedded.versions.models import Address

_VERSION = r"(?:/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?"
_FLAGS = re.IGNORECASE | re.ASCII | re.DOTALL
_POST = re.compile(
    rf"/v1/models/(?P<name>[^/:]+){_VERSION}:(?P<what>classify|regress|predict)", _FLAGS
)
_GET = re.compile(rf"/v1/models(?:/(?P<name>[^/:]+))?{_VERSION}(?:/(?P<what>metadata))?", _FLAGS)
_PATTERNS = {"POST": _POST, "GET": _GET}

_MAX_VERSION = 2**63 - 1

_MOST_REMEMBERED = 256
"""Characters of a path that is remembered: clients ask for the same few again and again."""


@dataclass(frozen=True)
class Target:
    """What is asked for.

    Attributes:
        address: which model; its name is empty where the path has none.
        what: ``classify``, ``regress``, ``predict``, ``metadata``, or empty for the status. As it
            was spelled: TF Serving matches paths in any case and then looks for small letters.
        wrong_version: digits that are no number of 64 bits; empty where all is well.
    """

    address: Address
    what: str
    wrong_version: str = ""


def find_target(method: str, path: str) -> Target | None:
    """What the path asks for; None where it leads nowhere with that method."""
    return (_remember if len(path) <= _MOST_REMEMBERED else _find)(method, path)


def _find(method: str, path: str) -> Target | None:
    found = _PATTERNS[method].fullmatch(path) if method in _PATTERNS else None
    if found is None:
        return None
    name, label = unquote(found["name"] or ""), found["label"]
    digits = found["version"]
    is_too_large = digits is not None and len(digits.lstrip("0")) > len(str(_MAX_VERSION))
    version = None if digits is None or is_too_large else int(digits)
    what = found["what"] or ""
    if is_too_large or (version is not None and version > _MAX_VERSION):
        return Target(Address(name), what, digits)
    return Target(Address(name, version, unquote(label) if label else None), what)


_remember = lru_cache(maxsize=1024)(_find)
