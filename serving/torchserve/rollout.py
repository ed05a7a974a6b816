"""Exchange the version that a running TorchServe serves, by its management API.

The new version is registered beside the old one and gets a worker of its own; ``set-default`` then
moves every request that names no version at once; the old one is unregistered when its last
requests are answered. Source: TorchServe's docs/management_api.md.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from models.errors import RequestError, ServerFault, ServerNotReady, Unreachable
from serving.torchserve.repository import publish
from serving.torchserve.tokens import Tokens
from serving.wire.failures import http_failure, transport_failure

POLL_SECONDS = 0.1
ATTEMPTS, ATTEMPT_SECONDS = 5, 1.0


@dataclass(frozen=True)
class Rollout:
    """The versions of one model on one TorchServe with its model API on.

    Attributes:
        label: what exactly runs there, for people.
        management_url: ``http://host:port`` of its management API.
        model_name: the model's name.
        store: its model store, as this machine sees it.
        tokens: its keys.
        timeout_seconds: for each step.
        drain_seconds: how long the old version stays after the switch, for requests that had
            reached it. TorchServe shows what waits in a queue, but not what is being worked on.
    """

    label: str
    management_url: str
    model_name: str
    store: Path
    tokens: Tokens
    timeout_seconds: float = 120.0
    drain_seconds: float = 2.0

    server = "torchserve"

    def publish(self, archive: Path, version: int) -> None:
        """Put an archive into the store; nothing is loaded yet.

        Raises:
            ArtifactCorrupt, StorageError: it is damaged, or cannot be written.
        """
        publish(archive, self.store, self.model_name, str(version))

    def bring_up(self, version: int) -> None:
        """Register a version whose archive lies in the store, and wait for its worker.

        Raises:
            ServerNotReady: it cannot be loaded; it is unregistered again, and the old one serves on.
            BadRequest, ServerFault, Unreachable: TorchServe refuses, or is silent.
        """
        archive = f"{self.model_name}-{version}.mar"
        if version not in self.versions():
            query = {
                "url": archive,
                "model_name": self.model_name,
                "initial_workers": "1",
                "synchronous": "true",
            }
            try:
                self._ask("POST", "/models", query)
            except Unreachable:
                raise
            except RequestError as error:
                self.withdraw(version)
                raise ServerNotReady(
                    f"TorchServe cannot load version {version}: {error.message.strip()[:300]}",
                    "The version before it goes on serving.",
                ) from error
            if version not in self.versions():
                raise ServerNotReady(
                    f"{archive} does not call itself version {version}.",
                    "Export it again: the archive states its version.",
                )
        self._wait_for_worker(version)

    def switch(self, version: int) -> None:
        """Send every request that names no version to this one, from now on.

        Raises:
            BadRequest, ServerFault, Unreachable: TorchServe refuses, or is silent.
        """
        self._ask("PUT", f"/models/{self.model_name}/{version}/set-default")

    def retire(self, version: int) -> None:
        """Unregister the version before, after its last requests, and take its archive away.

        Raises:
            BadRequest, ServerFault, Unreachable: TorchServe refuses, or is silent.
        """
        self._drain(version)
        self.withdraw(version)

    def withdraw(self, version: int) -> None:
        """Unregister a version that nobody asks for, if it is registered, and take its archive away.

        Raises:
            BadRequest, ServerFault, Unreachable: TorchServe refuses, or is silent.
        """
        for attempts_left in reversed(range(ATTEMPTS)):
            if version not in self.versions():
                break
            try:
                self._ask("DELETE", f"/models/{self.model_name}/{version}")
            except ServerFault:
                # "Interrupted while cleaning resources": it gave up waiting for its own worker to end.
                if not attempts_left:
                    raise
                time.sleep(ATTEMPT_SECONDS)
        (self.store / f"{self.model_name}-{version}.mar").unlink(missing_ok=True)

    def answering(self) -> int | None:
        """The version that answers requests which name none: the default; None without a ready worker.

        Raises:
            BadRequest, ServerFault, Unreachable: TorchServe refuses, or is silent.
        """
        default = self._ask("GET", f"/models/{self.model_name}")[0]
        ready = any(worker["status"] == "READY" for worker in default["workers"])
        return int(float(default["modelVersion"])) if ready else None

    def versions(self) -> dict[int, dict[str, Any]]:
        """What TorchServe says of each registered version, by number."""
        found = self._ask("GET", f"/models/{self.model_name}/all")
        # Registration keeps the archive's own version, "2"; a handler of another maker may say "1.0".
        return {int(float(each["modelVersion"])): each for each in found}

    def _wait_for_worker(self, version: int) -> None:
        deadline = time.monotonic() + self.timeout_seconds
        while True:
            workers = self.versions().get(version, {}).get("workers", [])
            if any(worker["status"] == "READY" for worker in workers):
                return
            if time.monotonic() > deadline:
                self.withdraw(version)
                raise ServerNotReady(
                    f"Version {version} has no READY worker after {self.timeout_seconds:.0f} s.",
                    "The version before it goes on serving.",
                )
            time.sleep(POLL_SECONDS)

    def _drain(self, version: int) -> None:
        deadline = time.monotonic() + self.timeout_seconds
        while time.monotonic() < deadline:
            queue = self.versions().get(version, {}).get("jobQueueStatus") or {}
            if not queue.get("pendingRequests"):
                break
            time.sleep(POLL_SECONDS)
        time.sleep(self.drain_seconds)

    def _ask(self, method: str, path: str, query: dict[str, str] | None = None) -> Any:
        url = f"{self.management_url}{path}"
        headers = self.tokens.headers("management")
        try:
            with httpx.Client(timeout=self.timeout_seconds, trust_env=False) as http:
                answer = http.request(method, url, params=query, headers=headers)
        except httpx.TransportError as error:
            raise transport_failure(error, url) from error
        if answer.is_error:
            raise http_failure(answer.status_code, answer.text)
        return answer.json()
