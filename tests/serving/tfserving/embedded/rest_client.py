"""Clients of REST: one that asks, and one that writes its bytes itself."""

from __future__ import annotations

import json
import socket
from typing import Any

import httpx

from serving.process import ProcessServer

MODEL = "/v1/models/half"
ANSWER = b'{\n    "predictions": [3.0\n    ]\n}'
Json = dict[str, Any]


def ask(http: httpx.Client, verb: str, body: Json | bytes | str, code: int = 200) -> Any:
    content = json.dumps(body) if isinstance(body, dict) else body
    answer = http.post(f"{MODEL}:{verb}", content=content)
    assert answer.status_code == code, answer.text
    assert answer.headers["content-type"] == "application/json"
    return answer.json()


def error_of(http: httpx.Client, verb: str, body: Json | bytes | str, code: int = 400) -> str:
    found = ask(http, verb, body, code)
    assert list(found) == ["error"]
    return str(found["error"])


def connect(server: ProcessServer) -> socket.socket:
    return socket.create_connection((server.spec.host, server.spec.ports["rest"]), timeout=30)


def raw(version: str, body: bytes, header: str = "") -> bytes:
    head = f"POST {MODEL}:predict {version}\r\nHost: x\r\nContent-Length: {len(body)}\r\n{header}"
    return head.encode() + b"\r\n" + body


def receive(connection: socket.socket) -> tuple[str, dict[str, str], bytes]:
    """Status line, headers and body of one answer."""
    with connection.makefile("rb", buffering=0) as stream:
        return read_answer(stream)


def read_answer(stream: Any) -> tuple[str, dict[str, str], bytes]:
    """The same from a file that keeps what comes after it."""
    status, headers = read_head(stream)
    body = b""
    while len(body) < int(headers["content-length"]):
        body += stream.read(int(headers["content-length"]) - len(body))
    return status, headers, body


def read_head(stream: Any) -> tuple[str, dict[str, str]]:
    """Status line and headers of an answer whose body is still to be read."""
    status = stream.readline().decode().rstrip("\r\n")
    headers = {}
    while line := stream.readline().decode().rstrip("\r\n"):
        name, _, value = line.partition(": ")
        headers[name.lower()] = value
    return status, headers
