"""What is run, how readiness is read, and the label."""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from serving.process import free_ports
from serving.server import Readiness
from serving.tfserving.spec import StatusProbe, read_status, tfserving_spec


def status_of(*versions: tuple[str, str]) -> str:
    return json.dumps(
        {
            "model_version_status": [
                {
                    "version": "1",
                    "state": state,
                    "status": {"error_code": code, "error_message": "why"},
                }
                for state, code in versions
            ]
        }
    )


@pytest.mark.parametrize(
    ("status", "body", "readiness"),
    [
        (200, status_of(("AVAILABLE", "OK")), Readiness.READY),
        (200, status_of(("AVAILABLE", "OK"), ("END", "UNKNOWN")), Readiness.READY),
        (200, status_of(("END", "UNKNOWN")), Readiness.NEVER),
        (200, status_of(("END", "OK"), ("LOADING", "OK")), Readiness.NOT_YET),
        (200, status_of(("START", "OK")), Readiness.NOT_YET),
        (404, '{"error": "Could not find any versions"}', Readiness.NOT_YET),
        (200, "<html>", Readiness.NOT_YET),
        (200, "[]", Readiness.NOT_YET),
    ],
)
def test_readiness(status: int, body: str, readiness: Readiness) -> None:
    assert read_status(status, body).readiness is readiness


def test_never_says_why() -> None:
    assert "why" in read_status(200, status_of(("END", "UNKNOWN"))).seen


def test_the_probe_does_not_raise_where_nobody_listens() -> None:
    [port] = free_ports(1)
    probe = StatusProbe("127.0.0.1", port, "digits")()
    assert probe.readiness is Readiness.NOT_YET
    assert probe.seen


def test_the_probe_gives_up_on_somebody_silent() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        probe = StatusProbe("127.0.0.1", silent.getsockname()[1], "digits")()
    assert probe.readiness is Readiness.NOT_YET


@pytest.fixture
def no_programs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def spec(tmp_path: Path, **ports: int) -> Any:
    return tfserving_spec("digits", tmp_path / "repository", tmp_path / "work", ports)


def test_the_embedded_server_where_there_is_no_tf_serving(
    no_programs: Path, tmp_path: Path
) -> None:
    found = spec(tmp_path, grpc=1)
    assert found.label == "TF Serving API (embedded)"
    assert found.command[:3] == (sys.executable, "-m", "serving.tfserving.embedded")
    assert "--port=1" in found.command
    assert f"--rest_api_port={found.ports['rest']}" in found.command
    assert f"--model_base_path={tmp_path / 'repository'}" in found.command


@pytest.mark.parametrize(
    ("script", "label"),
    [
        ("echo 'TensorFlow ModelServer: 2.18.0-rc1+dev.sha.abc'", "TF Serving 2.18.0"),
        ("echo nonsense", "TF Serving"),
        ("exit 3", "TF Serving"),
    ],
)
def test_tf_serving_where_it_is_installed(
    no_programs: Path, tmp_path: Path, script: str, label: str
) -> None:
    program = no_programs / "tensorflow_model_server"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    found = spec(tmp_path)
    assert found.label == label
    assert found.command[0] == str(program)
    assert found.command[1:] == spec(tmp_path, **found.ports).command[1:]
