"""Exchange the version that a running TF Serving serves, by its version policy.

It polls its repository and serves the highest number: the new version is loaded while the old one
answers, and the old one is unloaded when the new one is available. To go back, the higher folder is
taken away. Source: TF Serving's docs/serving_config.md and its availability-preserving policy.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx

from models.errors import ServerNotReady
from serving.tfserving.repository import publish
from serving.wire.failures import http_failure, transport_failure

POLL_SECONDS = 0.1
AVAILABLE, ENDED = "AVAILABLE", "END"


@dataclass(frozen=True)
class Rollout:
    """The versions of one model on one server.

    Attributes:
        label: what exactly runs there, for people.
        rest_url: ``http://host:port`` of its REST API.
        model_name: the model's name.
        repository: the model's folder with a folder per version, as this machine sees it.
        timeout_seconds: for each step.
    """

    label: str
    rest_url: str
    model_name: str
    repository: Path
    timeout_seconds: float = 120.0

    server = "tfserving"

    def publish(self, saved_model: Path, version: int) -> None:
        """Put a SavedModel into the repository; the server loads it if it is the highest.

        Raises:
            ArtifactMissing, StorageError: it is no SavedModel, or cannot be written.
        """
        publish(saved_model, self.repository, version)

    def bring_up(self, version: int) -> None:
        """Wait until a published version is available, if the policy chooses it: it is the highest.

        Raises:
            ServerNotReady: it cannot be loaded; it is taken away, and the old one serves on.
            Unreachable, ServerFault: the server does not answer.
        """
        if version == max(self.published()):
            self._wait(version)

    def switch(self, version: int) -> None:
        """Take every higher version away, and wait until this one is available.

        Raises:
            ServerNotReady: it cannot be loaded.
            Unreachable, ServerFault: the server does not answer.
        """
        for higher in self.published():
            if higher > version:
                self.withdraw(higher)
        self._wait(version)

    def retire(self, version: int) -> None:
        """Wait until the version before is unloaded, and take its folder away.

        Raises:
            ServerNotReady: it is still there at the deadline.
            Unreachable, ServerFault: the server does not answer.
        """
        self._until(
            lambda: AVAILABLE not in self.states().get(version, (ENDED, ""))[0],
            f"version {version} is still being served",
        )
        self.withdraw(version)

    def withdraw(self, version: int) -> None:
        """Take a version's folder away: first under a name that is no number, which servers pass over."""
        folder = self.repository / str(version)
        if folder.exists():
            aside = self.repository / f".withdrawn-{version}"
            shutil.rmtree(aside, ignore_errors=True)
            folder.rename(aside)
            shutil.rmtree(aside, ignore_errors=True)

    def published(self) -> list[int]:
        """Numbers of the versions in the repository, lowest first."""
        return sorted(int(each.name) for each in self.repository.glob("*") if each.name.isdigit())

    def answering(self) -> int | None:
        """The version that answers requests which name none: the highest available; None without one.

        Raises:
            BadRequest, Unreachable, ServerFault: the server does not say.
        """
        return max(
            (n for n, (state, _) in self.states().items() if state == AVAILABLE), default=None
        )

    def states(self) -> dict[int, tuple[str, str]]:
        """What the server says of each version: its state, and its error if it has one."""
        url = f"{self.rest_url}/v1/models/{self.model_name}"
        try:
            with httpx.Client(timeout=self.timeout_seconds, trust_env=False) as http:
                answer = http.get(url)
        except httpx.TransportError as error:
            raise transport_failure(error, url) from error
        if answer.is_error:
            raise http_failure(answer.status_code, answer.text)
        return {
            int(each["version"]): (
                each["state"],
                (each.get("status") or {}).get("error_message", ""),
            )
            for each in answer.json()["model_version_status"]
        }

    def _wait(self, version: int) -> None:
        def is_available() -> bool:
            state, error = self.states().get(version, ("", ""))
            if state == ENDED and error:
                if len(self.published()) > 1:
                    self.withdraw(version)
                raise ServerNotReady(
                    f"TF Serving cannot load version {version}: {error[:300]}",
                    "The version before it goes on serving.",
                )
            return state == AVAILABLE

        self._until(is_available, f"version {version} is not available")

    def _until(self, is_so: Callable[[], bool], otherwise: str) -> None:
        deadline = time.monotonic() + self.timeout_seconds
        while not is_so():
            if time.monotonic() > deadline:
                raise ServerNotReady(
                    f"After {self.timeout_seconds:.0f} s {otherwise}.", "See the server's log."
                )
            time.sleep(POLL_SECONDS)
