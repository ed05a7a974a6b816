"""When TorchServe is ready, and when it never will be."""

from __future__ import annotations

import http.client
import json
import re
from dataclasses import dataclass
from pathlib import Path

from models.errors import TwinServeError
from serving.engine import read_file
from serving.server import Probe, Readiness
from serving.torchserve.tokens import CONTAINER_HOME, Tokens

FAILED = "Failed to load model"
DEATHS = (
    FAILED,
    "Backend worker process died.",
    "Load model failed:",
    "Auto recovery failed again",
)
"""What a worker says of a Python error, and the front end of a worker that is just gone. The last
words of a dying worker can be lost, so any one of these is enough."""


@dataclass(frozen=True)
class ModelProbe:
    """Asks TorchServe's management API about one model.

    ``/ping`` says Healthy with no worker at all, and the description calls a worker that loads,
    that has died or that waits to be tried again all the same (UNLOADING). So READY is a READY
    worker, and NEVER is what the workers' log says: a worker that could not load the model is tried
    again for five minutes, with the same file and the same result.
    """

    model_name: str
    workdir: Path
    host: str
    management_port: int
    container: str = ""

    def __call__(self) -> Probe:
        try:
            status, body = self._describe()
        except (OSError, http.client.HTTPException, TwinServeError) as error:
            return Probe(Readiness.NOT_YET, f"no answer: {error}")
        if status == http.HTTPStatus.NOT_FOUND:
            return Probe(Readiness.NEVER, f"TorchServe did not accept the archive: {body.decode()}")
        if status != http.HTTPStatus.OK:
            return Probe(Readiness.NOT_YET, f"HTTP {status}: {body.decode(errors='replace')}")
        states = [worker["status"] for worker in json.loads(body)[0]["workers"]]
        if "READY" in states:
            return Probe(Readiness.READY, "a worker is READY")
        # Only now: before it answers, the log may be that of an earlier start.
        if failure := load_failure(self._log()):
            return Probe(Readiness.NEVER, failure)
        return Probe(Readiness.NOT_YET, f"workers: {', '.join(states) or 'none'}")

    def _describe(self) -> tuple[int, bytes]:
        url = f"http://{self.host}:{self.management_port}"
        tokens = Tokens(self.workdir, url, container=self.container)
        connection = http.client.HTTPConnection(self.host, self.management_port, timeout=2)
        try:
            headers = tokens.headers("management")
            connection.request("GET", f"/models/{self.model_name}", headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def _log(self) -> str:
        """What the workers said so far; empty where it cannot be read yet."""
        try:
            if self.container:
                return read_file(self.container, f"{CONTAINER_HOME}/logs/model.log")
            return (self.workdir / "logs" / "model.log").read_text(errors="replace")
        except (OSError, TwinServeError):
            return ""


def load_failure(model_log: str) -> str:
    """Why a worker could not load the model, in its own words; empty if none has failed."""
    lines = model_log.splitlines()
    said = [line.partition(" - ")[2] or line for line in lines]
    if not any(line.startswith(DEATHS) for line in said):
        return ""
    reasons = [line for line in said if line.startswith(FAILED)]
    errors = [line for line in said if re.match(r"[\w.]*(Error|Exception): ", line)]
    return (reasons or errors or ["the worker process died while it loaded the model"])[0]
