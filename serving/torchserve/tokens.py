"""TorchServe's access tokens: read, renewed when they run out, and handed to clients.

With token authorisation on (its default), TorchServe writes ``key_file.json`` into its working
directory at the start::

    {"management": {"key": "...", "expiration time": "2025-01-31T12:00:00.123456Z"},
     "inference":  {"key": "...", "expiration time": "..."},
     "API":        {"key": "..."}}

``GET /token?type=inference`` (or ``management``) on the management API, authorised by the API key,
makes a new key of that kind, which ends the old one, and writes the file again. The API key never
expires. Source: TorchServe's docs/token_authorization_api.md and its TokenAuthorization.java.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import httpx

from models.errors import BadRequest, ServerError, ServerNotReady, Unreachable
from serving.engine import read_file

Purpose = Literal["inference", "management"]
KEY_FILE = "key_file.json"
CONTAINER_HOME = "/run/torchserve"
"""TorchServe's working directory inside its image."""
RENEW_BEFORE = timedelta(minutes=2)
"""A key this near its end is renewed, so that none runs out on its way to the server."""


@dataclass(frozen=True)
class Key:
    """One token and the time from which it is refused; None for never."""

    token: str
    expires: datetime | None

    def is_good_at(self, moment: datetime) -> bool:
        return self.expires is None or moment < self.expires - RENEW_BEFORE


class Tokens:
    """The keys of one running TorchServe. Safe to share between threads.

    Several processes may use the same TorchServe: the key file is read again whenever it has
    changed.

    Args:
        folder: TorchServe's working directory.
        management_url: ``http://host:port`` of its management API.
        transport: replaces the network, for tests.
        now: the clock, for tests.
        container: name of the container that it runs in; its key file is copied into ``folder``.
            Empty for a process, which writes it there itself.
    """

    def __init__(
        self,
        folder: Path,
        management_url: str,
        transport: httpx.BaseTransport | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        container: str = "",
    ) -> None:
        self._container = container
        self._file = folder / KEY_FILE
        self._management_url = management_url
        self._transport = transport
        self._now = now
        self._lock = threading.Lock()
        self._keys: dict[str, Key] = {}
        self._read_from: tuple[int, int, int] | None = None

    def token(self, purpose: Purpose) -> str:
        """A key that is good now; renewed first if it is not.

        Raises:
            ServerNotReady: there is no key file, so TorchServe has not started here.
            BadRequest: TorchServe refuses to renew the key.
            Unreachable: it does not answer.
        """
        with self._lock:
            if self._container and not self._file.exists():
                self._copy_from_container()
            self._read_if_changed()
            if not self._keys[purpose].is_good_at(self._now()):
                self._renew(purpose)
            return self._keys[purpose].token

    def changed(self, purpose: Purpose, refused: str) -> bool:
        """Read the keys anew, after TorchServe has refused one: it may have been started again.

        Args:
            purpose: what the key was for.
            refused: the key; another thread may have read its successor by now.

        Returns:
            whether the key is another one now, so that asking again makes sense.

        Raises:
            ServerNotReady: there are none.
        """
        with self._lock:
            held = self._keys.get(purpose)
            if held is None or held.token == refused:
                if self._container:
                    self._copy_from_container()
                self._read_from = None
                self._read_if_changed()
            return self._keys[purpose].token != refused

    def headers(self, purpose: Purpose) -> dict[str, str]:
        """The HTTP header of a request."""
        return {"Authorization": f"Bearer {self.token(purpose)}"}

    def metadata(self, purpose: Purpose) -> tuple[tuple[str, str], ...]:
        """The gRPC metadata of a call; names are lower case there."""
        return (("authorization", f"Bearer {self.token(purpose)}"),)

    def header_file(self, purpose: Purpose) -> Path:
        """Write ``<purpose>.header`` for ``curl -H @file``, readable by its owner only.

        The key in it is the current one; every renewal from here on writes it again.
        """
        self.token(purpose)
        with self._lock:
            self._write_header(purpose)
        return self._header_path(purpose)

    def _read_if_changed(self) -> None:
        try:
            seen = self._file.stat()
            stamp = (seen.st_ino, seen.st_mtime_ns, seen.st_size)
            if stamp != self._read_from:
                self._keys = read_keys(self._file.read_text())
                self._read_from = stamp
        except (OSError, ValueError, KeyError, TypeError) as error:
            if self._keys and not isinstance(error, OSError):
                return  # Caught in the middle of being written; the keys read before still serve.
            raise ServerNotReady(
                f"{self._file} holds no TorchServe keys: {error}.", "Start TorchServe first."
            ) from error

    def _renew(self, purpose: Purpose) -> None:
        header = {"Authorization": f"Bearer {self._keys['API'].token}"}
        try:
            with httpx.Client(transport=self._transport, trust_env=False) as client:
                url = f"{self._management_url}/token"
                answer = client.get(url, params={"type": purpose}, headers=header)
        except httpx.TransportError as error:
            raise Unreachable(f"{self._management_url} does not renew the key: {error}.") from error
        if answer.is_error:
            raise BadRequest(answer.text.strip(), str(answer.status_code))
        if self._container:
            self._copy_from_container()
        self._read_from = None
        self._read_if_changed()
        if self._header_path(purpose).exists():  # lines that were pasted before go on working
            self._write_header(purpose)

    def _copy_from_container(self) -> None:
        """The container's key file, for every process that asks through this folder."""
        try:
            held = read_file(self._container, f"{CONTAINER_HOME}/{KEY_FILE}")
            read_keys(held)
        except (FileNotFoundError, ValueError, KeyError, TypeError, ServerError) as error:
            raise ServerNotReady(
                f"The container {self._container} holds no TorchServe keys: {error}",
                "Start TorchServe first.",
            ) from error
        _write_for_owner(self._file, held)

    def _header_path(self, purpose: Purpose) -> Path:
        return self._file.with_name(f"{purpose}.header")

    def _write_header(self, purpose: Purpose) -> None:
        header = f"Authorization: Bearer {self._keys[purpose].token}\n"
        _write_for_owner(self._header_path(purpose), header)


def _write_for_owner(target: Path, text: str) -> None:
    """Whole or not at all, and readable by its owner only."""
    beside = target.with_suffix(f".{os.getpid()}-{threading.get_ident()}.tmp")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    beside.replace(target)


def read_keys(text: str) -> dict[str, Key]:
    """The keys in a key file, by purpose.

    Raises:
        ValueError, KeyError, TypeError: it has another form, or is not written out yet.
    """
    stated: dict[str, dict[str, Any]] = json.loads(text)
    return {
        purpose: Key(stated[purpose]["key"], _moment(stated[purpose].get("expiration time")))
        for purpose in ("inference", "management", "API")
    }


def _moment(stated: str | None) -> datetime | None:
    """Java's ``Instant.toString``: UTC, with up to nine decimals where Python knows six."""
    if stated is None:
        return None
    whole, _, decimals = stated.rstrip("Z").partition(".")
    return datetime.fromisoformat(f"{whole}.{decimals[:6]:0<6}+00:00")
