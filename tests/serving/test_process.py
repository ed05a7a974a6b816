"""Local processes as servers: started, waited for, stopped with everything they started."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from models.errors import PortInUse, ServerDied, ServerMissing, ServerNotReady
from serving import started
from serving.process import ProcessServer, free_ports, tail_of
from serving.process_tree import resident_bytes_of
from serving.records import RunningServer
from serving.server import Probe, Readiness, ServerSpec

PROJECT = Path(__file__).resolve().parents[2]
SLEEPS = "import time; print('up', flush=True); time.sleep(600)"
DEAF_CHILD = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    "print('deaf', flush=True); time.sleep(600)"
)
"""Ignores SIGTERM."""

HAS_A_DEAF_CHILD = f"""
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", {DEAF_CHILD!r}])
time.sleep(600)
"""
LISTENS = """
import socket, sys, time
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
time.sleep(600)
"""

MakeServer = Callable[..., ProcessServer]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[MakeServer]:
    """``make("python source", ...)``: a server that is ready once its log has a line."""
    made: list[ProcessServer] = []

    def server(source: str, *arguments: str, records: Path | None = None, **spec: Any):
        workdir = tmp_path / f"work{len(made)}"

        def probe() -> Probe:
            lines = tail_of(workdir / "server.log", 1)
            return Probe(Readiness.READY if lines else Readiness.NOT_YET, "no line yet")

        fields = {
            "name": "sample",
            "label": "Sample 1.0",
            "command": (sys.executable, "-c", source, *arguments),
            "workdir": workdir,
            "ports": {},
            "probe": probe,
            "stop_seconds": 5.0,
            **spec,
        }
        made.append(ProcessServer(ServerSpec(**fields), records))
        return made[-1]

    yield server
    for each in made:
        each.stop()


def is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def wait_for(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.02)


# ---- starting ----


def test_started_ready_and_stopped(make: MakeServer):
    server = make(SLEEPS)
    server.start()
    assert 0 < server.wait_ready(30) < 30
    assert server.is_alive()
    assert server.log_tail() == "up"
    pid = server.pid
    server.stop()
    assert is_gone(pid)
    assert not server.is_alive()


def test_it_runs_in_its_folder_with_its_environment_and_no_terminal(make: MakeServer):
    source = (
        "import os, sys; print(os.getcwd(), os.environ['COLOUR'], os.getsid(0) == os.getpid(), "
        "sys.stdin.read() == '', sep='\\n', flush=True); import time; time.sleep(600)"
    )
    server = make(source, environment={"COLOUR": "red"})
    server.start()
    wait_for(lambda: len(server.log_tail().splitlines()) == 4)
    assert server.log_tail().splitlines() == [str(server.spec.workdir), "red", "True", "True"]


def test_a_taken_port_is_named_before_anything_starts(make: MakeServer):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        server = make(SLEEPS, ports={"rest": free_ports(1)[0], "grpc": port})
        with pytest.raises(PortInUse) as raised:
            server.start()
    assert f"Port {port} on 127.0.0.1 (Sample 1.0, grpc) is taken" in raised.value.message
    assert "make stop" in raised.value.hint
    assert not server.is_alive()
    assert not server.log_path.exists()


def test_a_port_can_be_taken_again_right_after_a_stop(make: MakeServer):
    (port,) = free_ports(1)

    def listening() -> Probe:
        with socket.socket() as client:
            up = client.connect_ex(("127.0.0.1", port)) == 0
        return Probe(Readiness.READY if up else Readiness.NOT_YET)

    for _ in range(2):
        server = make(LISTENS, str(port), ports={"rest": port}, probe=listening)
        server.start()
        server.wait_ready(30)
        server.stop()


def test_a_program_that_is_missing_is_named(make: MakeServer):
    server = make("", command=("no-such-model-server", "--port=1"))
    with pytest.raises(ServerMissing, match=r"Sample 1\.0 cannot be started: no-such-model-server"):
        server.start()
    server.stop()


def test_free_ports_are_different_and_free():
    ports = free_ports(5)
    assert len(set(ports)) == 5
    for port in ports:
        with socket.create_server(("127.0.0.1", port)):
            pass


# ---- waiting ----


def test_a_server_that_dies_is_told_with_the_end_of_its_log(make: MakeServer):
    server = make(
        "print('no licence'); raise SystemExit(3)", probe=lambda: Probe(Readiness.NOT_YET)
    )
    server.start()
    with pytest.raises(ServerDied) as raised:
        server.wait_ready(30)
    assert raised.value.message == "Sample 1.0 ended with exit code 3."
    assert raised.value.hint.endswith("no licence")
    assert str(server.log_path) in raised.value.hint


def test_a_server_that_never_gets_ready_meets_its_deadline(make: MakeServer):
    waiting = Probe(Readiness.NOT_YET, "503 loading")
    server = make(SLEEPS, probe=lambda: waiting, startup_seconds=0.3)
    server.start()
    with pytest.raises(ServerNotReady, match=r"was not ready after 0 s \(last seen: 503 loading\)"):
        server.wait_ready()
    assert server.is_alive(), "stopping it is the caller's"


def test_a_server_that_says_never_is_not_waited_for(make: MakeServer):
    never = Probe(Readiness.NEVER, "the model failed to load")
    server = make(SLEEPS, probe=lambda: never, startup_seconds=600)
    server.start()
    with pytest.raises(ServerNotReady, match="will not get ready: the model failed to load"):
        server.wait_ready()


def test_a_server_that_was_never_started_says_so_and_can_be_stopped(make: MakeServer):
    server = make(SLEEPS)
    server.stop()
    assert server.log_tail() == ""
    for ask in (server.wait_ready, server.resident_bytes, lambda: server.pid):
        with pytest.raises(ServerDied, match=r"Sample 1\.0 was never started"):
            ask()


# ---- stopping ----


def test_stopping_twice_and_after_its_death_is_safe(make: MakeServer):
    server = make(SLEEPS)
    server.start()
    os.kill(server.pid, signal.SIGKILL)
    server.stop()
    server.stop()
    assert not server.is_alive()


def test_the_whole_tree_is_stopped_also_a_child_that_ignores_sigterm(make: MakeServer):
    server = make(HAS_A_DEAF_CHILD, stop_seconds=0.5)
    server.start()
    wait_for(lambda: "deaf" in server.log_tail())
    (child,) = psutil.Process(server.pid).children()
    server.stop()
    assert is_gone(server.pid)
    assert is_gone(child.pid)


def test_a_polite_server_may_finish_its_work(make: MakeServer):
    source = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: (print('bye', flush=True), sys.exit()))\n"
        "print('up', flush=True)\n"
        "time.sleep(600)"
    )
    server = make(source)
    server.start()
    server.wait_ready(30)
    server.stop()
    assert server.log_tail() == "up\nbye"


def test_stop_all_stops_every_server_of_this_process(
    make: MakeServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(started, "_running", [])  # other tests' servers are to stay
    servers = [make(SLEEPS) for _ in range(2)]
    for server in servers:
        server.start()
    started.stop_all()
    assert [server.is_alive() for server in servers] == [False, False]


def test_after_a_stop_for_good_none_is_started(tmp_path: Path):
    script = (
        "from pathlib import Path\n"
        "from serving.process import ProcessServer\n"
        "from serving.started import stop_all\n"
        "from serving.server import ServerSpec\n"
        "stop_all(for_good=True)\n"
        f"spec = ServerSpec('s', 'S', ('sleep', '600'), Path({str(tmp_path)!r}), {{}}, lambda: None)\n"
        "ProcessServer(spec).start()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert "ServerDied: S was not started: the run was stopped." in done.stderr


# ---- memory and time ----


def test_memory_and_time_are_those_of_the_whole_tree(make: MakeServer):
    hungry = (
        "rows = bytearray(b'1') * 50_000_000; print('up', flush=True); import time; time.sleep(600)"
    )
    source = (
        f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {hungry!r}]); "
        "time.sleep(600)"
    )
    server = make(source)
    server.start()
    server.wait_ready(30)
    alone = resident_bytes_of(os.getpid())
    assert alone > 0
    assert server.resident_bytes() > 50_000_000
    assert server.cpu_seconds() > 0
    server.stop()
    assert server.resident_bytes() == 0


# ---- records ----


def test_what_runs_is_recorded_and_forgotten_when_it_stops(make: MakeServer, tmp_path: Path):
    records = tmp_path / "records"
    server = make(
        SLEEPS, records=records, tags={"case": "digits"}, ports={"rest": free_ports(1)[0]}
    )
    server.start()
    (record,) = RunningServer.read_all(records)
    assert (record.name, record.pid, record.tags) == ("sample", server.pid, {"case": "digits"})
    assert record.ports == server.spec.ports
    assert record.is_running()
    server.stop()
    assert RunningServer.read_all(records) == []
    assert not record.is_running()


def test_another_command_can_stop_it_by_its_record(make: MakeServer, tmp_path: Path):
    records = tmp_path / "records"
    server = make(SLEEPS, records=records)
    server.start()
    (record,) = RunningServer.read_all(records)
    assert record.stop(records) is True
    assert is_gone(server.pid)
    assert record.stop(records) is False
    assert RunningServer.read_all(records) == []


def test_a_process_that_got_a_recorded_id_later_is_left_alone(make: MakeServer, tmp_path: Path):
    records = tmp_path / "records"
    server = make(SLEEPS, records=records)
    server.start()
    (record,) = RunningServer.read_all(records)
    earlier = replace(record, created=record.created - 60)
    earlier.write(records)
    assert not earlier.is_running()
    assert earlier.stop(records) is False
    assert server.is_alive()
    assert RunningServer.read_all(records) == []


def test_records_that_cannot_be_read_are_passed_over(make: MakeServer, tmp_path: Path):
    records = tmp_path / "records"
    server = make(SLEEPS, records=records)
    server.start()
    (records / "a.json").write_text("{")
    (records / "b.json").write_text(json.dumps({"name": "sample"}))
    (records / "c.json").write_text("[]")
    assert [record.pid for record in RunningServer.read_all(records)] == [server.pid]


def test_the_end_of_a_log_is_its_last_lines(tmp_path: Path):
    log = tmp_path / "server.log"
    assert tail_of(log, 3) == ""
    log.write_bytes(b"1\n2\n\xff3\n4\n")
    assert tail_of(log, 2) == "\ufffd3\n4"
