"""The image's health check: ``python3 -m serving.torchserve.healthcheck``

Exits with 0 only when a worker of the model is READY; ``/ping`` would say Healthy without one.
It runs every few seconds, so it imports next to nothing.
"""

from __future__ import annotations

import http.client
import json
import os
import sys
from pathlib import Path
from urllib.parse import quote

KEYS = Path("/run/torchserve/key_file.json")
MANAGEMENT_PORT = 8081
ANSWER_SECONDS = 3.0


def check(model_name: str, keys: Path, port: int) -> str:
    """What is wrong; empty where a worker is READY.

    A management key that has run out is renewed: nobody else may have asked for an hour. One that
    another renewed a moment ago is read again first.

    Args:
        model_name: the model's name.
        keys: TorchServe's key file.
        port: of the management API, on this host.

    Raises:
        OSError, ValueError, KeyError, http.client.HTTPException: TorchServe is not up yet, or it
            answers something else.
    """
    path = f"/models/{quote(model_name, safe='')}"
    key = _key(keys, "management")
    status, body = _get(port, path, key)
    if status == http.HTTPStatus.BAD_REQUEST:
        if _key(keys, "management") == key:
            _get(port, "/token?type=management", _key(keys, "API"))
        status, body = _get(port, path, _key(keys, "management"))
    if status != http.HTTPStatus.OK:
        return f"HTTP {status}: {body.decode(errors='replace').strip()}"
    states = [worker["status"] for worker in json.loads(body)[0]["workers"]]
    return "" if "READY" in states else f"no worker is READY: {', '.join(states) or 'none'}"


def _key(keys: Path, purpose: str) -> str:
    return str(json.loads(keys.read_text())[purpose]["key"])


def _get(port: int, path: str, key: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_SECONDS)
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {key}"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


if __name__ == "__main__":
    try:
        wrong = check(os.environ["MODEL_NAME"], KEYS, MANAGEMENT_PORT)
    except (OSError, ValueError, KeyError, IndexError, http.client.HTTPException) as error:
        wrong = f"{type(error).__name__}: {error}"
    print(wrong or "a worker is READY")
    sys.exit(1 if wrong else 0)
